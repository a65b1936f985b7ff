/* conv_direct_image_f32 - images and volumes; see conv_direct_image.inc. */
#define CK_REAL float
#define CK_NAME conv_direct_image_f32
#define CK_IMAGE_TYPES                                                                   \
    {                                                                                    \
        {CK_F32, CK_F32, CK_F32, CK_F32}, {CK_U8, CK_F32, CK_U8, CK_F32},                \
        {CK_I8, CK_F32, CK_I8, CK_F32},   {CK_U8, CK_F32, CK_F32, CK_F32},               \
        {CK_I8, CK_F32, CK_F32, CK_F32},  {CK_U16, CK_F32, CK_F32, CK_F32},              \
        {CK_I16, CK_F32, CK_F32, CK_F32},                                                \
    }
#include "conv_direct_image.inc"
