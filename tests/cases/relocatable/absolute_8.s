# Addresses of 8 bits: an image without pages may begin anywhere.
#! bases: 0x0 0x40 0x48
#! abs32: checked
    .globl __pie_blob_packed
    .set __pie_blob_packed, 0
    .text
start:
    .byte start, end, constant, negative, end - start
    .reloc ., R_X86_64_8, start + 3
    .byte 0
end:
    .set constant, 0xfe
    .set negative, -2
