/* conv_direct_image_f64 - images and volumes; see conv_direct_image.inc.
 *
 * 16-bit images are summed in double, also with float weights: a float sum of theirs is rounded
 * to another integer than the exact one in more than 0.1 % of all pixels.
 */
#define CK_REAL double
#define CK_NAME conv_direct_image_f64
#define CK_IMAGE_TYPES                                                                   \
    {                                                                                    \
        {CK_F64, CK_F64, CK_F64, CK_F64}, {CK_U8, CK_F64, CK_U8, CK_F64},                \
        {CK_I8, CK_F64, CK_I8, CK_F64},   {CK_U16, CK_F64, CK_U16, CK_F64},              \
        {CK_I16, CK_F64, CK_I16, CK_F64}, {CK_U16, CK_F32, CK_U16, CK_F64},              \
        {CK_I16, CK_F32, CK_I16, CK_F64}, {CK_U8, CK_F64, CK_F64, CK_F64},               \
        {CK_I8, CK_F64, CK_F64, CK_F64},  {CK_U16, CK_F64, CK_F64, CK_F64},              \
        {CK_I16, CK_F64, CK_F64, CK_F64}, {CK_F32, CK_F64, CK_F64, CK_F64},              \
    }
#include "conv_direct_image.inc"
