# nw_library, nw_program, nw_test, nw_fuzzer: every target of the project is made by one of these.
option(NW_WERROR "Treat warnings as errors" ON)
option(NW_FUZZ "Build libFuzzer targets (clang only); without it they replay their seeds in ctest" OFF)
set(NW_SANITIZE "" CACHE STRING "e.g. address,undefined")

add_library(nw_options INTERFACE)
target_compile_features(nw_options INTERFACE c_std_17)
target_compile_definitions(nw_options INTERFACE _GNU_SOURCE NW_VERSION="${PROJECT_VERSION}")
# -UNDEBUG: Release would remove the asserts, which guard invariants in production too.
target_compile_options(nw_options INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wwrite-strings -Wpointer-arith -Wundef -Wvla -Wformat=2 -Wconversion -Wimplicit-fallthrough
  -fno-common -fstack-protector-strong -UNDEBUG $<$<BOOL:${NW_WERROR}>:-Werror>)
set(NW_TEST_TIMEOUT 240) # seconds for one test program; only for what hangs, also where eight share a processor
if(NW_SANITIZE)
  # -O1: three times as fast as no optimisation, and stack traces still read well
  target_compile_options(nw_options INTERFACE -fsanitize=${NW_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all -O1)
  target_link_options(nw_options INTERFACE -fsanitize=${NW_SANITIZE})
endif()
# The code of the tests themselves: half the time to compile; what they test is optimised as above.
add_library(nw_test_options INTERFACE)
if(NW_SANITIZE)
  target_compile_options(nw_test_options INTERFACE -O0)
else()
  target_compile_options(nw_test_options INTERFACE -O1)
endif()
if(NW_FUZZ) # instrument the libraries too, or the fuzzer sees no coverage
  target_compile_options(nw_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# nw_library(<name> SOURCES a.c ... DEPS lib ...)   one include root: the repository
function(nw_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${A_DEPS} PRIVATE nw_options)
  set_target_properties(${name} PROPERTIES C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
endfunction()

# nw_program(<name> SOURCES main.c ... DEPS lib ...)   built into <build>/bin and installed
function(nw_program name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${A_DEPS} nw_options)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# Hundreds of test programs are linked: where binutils has its faster linker, they take a third of the time.
find_program(NW_GOLD ld.gold)

# nw_test(<name> [COST n] [HEAVY] DEPS lib ...)   builds <name>.c with check and registers it in ctest. COST: it takes about n
# seconds, so ctest starts it before the others; HEAVY: its own code takes them, and is optimised as the product is
function(nw_test name)
  cmake_parse_arguments(A "HEAVY" "COST" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${name}.c ${A_SOURCES})
  target_link_libraries(${name} PRIVATE nw_test_support ${A_DEPS} PkgConfig::CHECK nw_options)
  if(NOT A_HEAVY)
    target_link_libraries(${name} PRIVATE nw_test_options)
  endif()
  if(NW_GOLD AND NOT NW_SANITIZE)
    target_link_options(${name} PRIVATE -fuse-ld=gold)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  if(A_COST)
    set_tests_properties(${name} PROPERTIES COST ${A_COST})
  endif()
  # check forks each test, which hides leaks from LeakSanitizer: sanitized builds do not fork.
  set(fork yes)
  if(NW_SANITIZE)
    set(fork no)
  endif()
  # A single test has 4 s by check's own word; how long one may hang is ctest's business.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${NW_TEST_TIMEOUT}
    ENVIRONMENT "CK_FORK=${fork};CK_TIMEOUT_MULTIPLIER=30;NW_SOURCE_DIR=${PROJECT_SOURCE_DIR};NW_BINARY_DIR=${PROJECT_BINARY_DIR}")
endfunction()

# nw_fuzzer(<name> DEPS lib ...)   fuzz target <name>.c with seeds in seeds/<name>/.
# With NW_FUZZ a libFuzzer program; without, a program that replays the seeds, run by ctest.
function(nw_fuzzer name)
  cmake_parse_arguments(A "" "" "DEPS" ${ARGN})
  if(NW_FUZZ)
    add_executable(${name} ${name}.c)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${name}.c replay.c)
    add_test(NAME ${name} COMMAND ${name} ${CMAKE_CURRENT_SOURCE_DIR}/seeds/${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${NW_TEST_TIMEOUT})
  endif()
  target_link_libraries(${name} PRIVATE ${A_DEPS} nw_options)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()
