#ifndef __ASSEMBLER__
#define EXPORT __attribute__((visibility("default")))

int from_assembler(int x);
extern char __pie_blob_stack[] __attribute__((visibility("hidden")));
#endif
