/* SPDX-License-Identifier: Apache-2.0 */
/* zbus messages as Zero-OS peers write them (ZOS.md section 1.5), as bytes. */
#ifndef TESTS_BUS_GOLDEN_H
#define TESTS_BUS_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#define GOLDEN_ID "7c9e6679-7425-40de-944b-e07fc1f90ae7"

struct golden {
    const char *name;
    const char *hex; /* blanks are skipped */
};

/* clang-format off */
#define HEX_ID "d924" "37633965363637392d373432352d343064652d393434622d653037666331663930616537"

/* (a) SetNamedProxy, the request as the Go client writes it, and its second argument alone */
#define HEX_PROXY                                                                                  \
    "84 ae544c5350617373 7468726f756768 c2"                                                        \
    "   a84261636b656e6473 91 b2687474703a2f2f31302e312e322e333a3830"                              \
    "   a74e6574776f726b a36e6574"                                                                 \
    "   a44e616d65 a3776562"
#define HEX_REQUEST                                                                                \
    "85 a24944 " HEX_ID                                                                            \
    "   a6496e70757473 92 c40a a931322d3334352d6777  c443 " HEX_PROXY                              \
    "   a64f626a656374 82 a44e616d65 a76d616e61676572 a756657273696f6e a5302e302e31"               \
    "   a75265706c79546f " HEX_ID                                                                  \
    "   a64d6574686f64 ad5365744e616d656450726f7879"

#define HEX_RESPONSE(data, error, protocol)                                                        \
    "83 a24944 " HEX_ID " a64f7574707574 82 a444617461 " data " a54572726f72 " error               \
    " a54572726f72 " protocol

/* (b) one value and no error: "web.gent01.dev.grid.tf" */
#define HEX_OK HEX_RESPONSE("c417 b67765622e67656e7430312e6465762e677269642e7466", "c0", "c0")
/* (c) application error: "domain already registered: web.x" beside an empty string */
#define HEX_FAILED                                                                                 \
    HEX_RESPONSE("c401a0",                                                                         \
                 "81 a74d657373616765 d920"                                                        \
                 "646f6d61696e20616c726561647920726567697374657265643a207765622e78", "c0")
/* (d) only an error returned, and there was none */
#define HEX_VOID HEX_RESPONSE("c0", "c0", "c0")
/* (e) protocol error "unknown object" */
#define HEX_UNKNOWN HEX_RESPONSE("c0", "c0", "ae756e6b6e6f776e206f626a656374")
/* (f) three values: 10, "hello world", 0.5 */
#define HEX_THREE "93 d3000000000000000a ab68656c6c6f20776f726c64 cb3fe0000000000000"
/* (g) Metrics: {"Request": {"12-345-gw": 230}, "Response": {"12-345-gw": 1798}} */
#define HEX_METRICS                                                                                \
    "82 a752657175657374 81 a931322d3334352d6777 cb406cc00000000000"                               \
    "   a8526573706f6e7365 81 a931322d3334352d6777 cb409c180000000000"
/* (h) the event Capacity */
#define HEX_EVENT                                                                                  \
    "85 a3435255 cf0000000000000002 a3535255 cf0000000000000001 a3485255 cf0000000000000000"       \
    "   a34d5255 cf0000000000000004 a54950563455 cf0000000000000000"
/* (i) a deployment with the workload of (a): the struct, as CreateOrUpdate carries it */
#define HEX_DEPLOYMENT                                                                             \
    "88 a756657273696f6e ce00000000 a65477696e4944 ce0000000c"                                     \
    "   aa436f6e74726163744944 cf0000000000000159"                                                 \
    "   a84d65746164617461 a0 ab4465736372697074696f6e a0"                                         \
    "   aa45787069726174696f6e d30000000000000000"                                                 \
    "   b45369676e6174757265526571756972656d656e74 84"                                             \
    "     a85265717565737473 91 83 a65477696e4944 ce0000000c a85265717569726564 c2"                \
    "                              a6576569676874 cf0000000000000001"                              \
    "     ae5765696768745265717569726564 cf0000000000000001"                                       \
    "     aa5369676e617475726573 91 83 a65477696e4944 ce0000000c a95369676e6174757265 a23030"      \
    "                                  ad5369676e617475726554797065 a765643235353139"              \
    "     ae5369676e61747572655374796c65 a0"                                                       \
    "   a9576f726b6c6f616473 91 87 a756657273696f6e ce00000000 a44e616d65 a26777"                  \
    "     a454797065 b2676174657761792d6e616d652d70726f7879"                                       \
    "     a444617461 c458 7b226e616d65223a22776562222c22746c735f706173737468726f756768223a"        \
    "       66616c73652c226261636b656e6473223a5b22687474703a2f2f31302e312e322e333a3830225d2c22"    \
    "       6e6574776f726b223a226e6574227d"                                                        \
    "     a84d65746164617461 a0 ab4465736372697074696f6e a0"                                       \
    "     a6526573756c74 84 a743726561746564 d30000000000000000 a55374617465 a0 a54572726f72 a0"   \
    "                       a444617461 c0"
/* the status object's answer (ZOS.md section 1.6) */
#define HEX_STATUS                                                                                 \
    "82 a74f626a65637473 91 82 a44e616d65 a76d616e61676572 a756657273696f6e a5302e302e31"          \
    "   a7576f726b657273 91 83 a55374617465 a466726565 a9537461727454696d65 d7ff1d6f34546553f100"  \
    "                          a6416374696f6e a0"
/* clang-format on */

/* Bytes of HEX into OUT (at least CAP bytes); returns how many. */
size_t golden_bytes(uint8_t *out, size_t cap, const char *hex);

#endif
