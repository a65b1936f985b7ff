/* stream_filter_f64 - filters on streams; see stream_filter.inc. */
#define CK_REAL double
#define CK_COMPLEX 0
#define CK_TYPE CK_F64
#define CK_NAME stream_filter_f64
#include "stream_filter.inc"
