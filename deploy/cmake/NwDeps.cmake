# Outside libraries as imported targets, all from Debian 12 packages (deploy/install-deps).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis)
pkg_search_module(MSGPACK REQUIRED IMPORTED_TARGET msgpack-c msgpack) # the name differs per distribution
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(PSL REQUIRED IMPORTED_TARGET libpsl)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
find_path(LIBEV_INCLUDE_DIR ev.h REQUIRED) # libev ships no .pc file
find_library(LIBEV_LIBRARY ev REQUIRED)
add_library(Libev::Libev UNKNOWN IMPORTED)
set_target_properties(Libev::Libev PROPERTIES
  IMPORTED_LOCATION ${LIBEV_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${LIBEV_INCLUDE_DIR})
find_path(IPSEC_MB_INCLUDE_DIR intel-ipsec-mb.h) # neither does libipsec-mb; wide AES, for amd64 only
find_library(IPSEC_MB_LIBRARY IPSec_MB)
option(NW_IPSEC_MB "Use libipsec-mb for the tunnels' AES where it is installed and suits the CPU" ON)
if(NW_IPSEC_MB AND IPSEC_MB_INCLUDE_DIR AND IPSEC_MB_LIBRARY)
  add_library(IpsecMb::IpsecMb UNKNOWN IMPORTED)
  set_target_properties(IpsecMb::IpsecMb PROPERTIES
    IMPORTED_LOCATION ${IPSEC_MB_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${IPSEC_MB_INCLUDE_DIR})
endif()
if(BUILD_TESTING)
  pkg_check_modules(CHECK REQUIRED IMPORTED_TARGET check)
endif()
