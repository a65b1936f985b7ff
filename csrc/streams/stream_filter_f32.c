/* stream_filter_f32 - filters on streams; see stream_filter.inc. */
#define CK_REAL float
#define CK_COMPLEX 0
#define CK_TYPE CK_F32
#define CK_NAME stream_filter_f32
#include "stream_filter.inc"
