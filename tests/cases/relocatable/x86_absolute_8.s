# i386: addresses of 8 bits, in an image without pages, and what asks for nothing.
#! bases: 0x0 0x40 0x48
#! abs32: checked
    .globl __pie_blob_packed
    .set __pie_blob_packed, 0
    .text
start:
    .byte start, end, constant, end - start
    .reloc ., R_386_NONE, start
    .byte 3
    .reloc ., R_386_8, end
    .byte -1
end:
    .set constant, 0xfe
