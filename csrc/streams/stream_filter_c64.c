/* stream_filter_c64 - filters on streams; see stream_filter.inc. */
#define CK_REAL float
#define CK_COMPLEX 1
#define CK_TYPE CK_C64
#define CK_NAME stream_filter_c64
#include "stream_filter.inc"
