/* stream_filter_c128 - filters on streams; see stream_filter.inc. */
#define CK_REAL double
#define CK_COMPLEX 1
#define CK_TYPE CK_C128
#define CK_NAME stream_filter_c128
#include "stream_filter.inc"
