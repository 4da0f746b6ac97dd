/* Writes what compel's own routine makes of its header at the base in the first argument. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <compel/infect.h>

/* The header wants these whether the object has them or not; they do not matter here. */
#define blob_sym__export_parasite_head_start 0
#define blob_sym__export_parasite_service_cmd 0
#define blob_sym__export_parasite_service_args_ptr 0
#include "blob.h"

int main(int argc, char **argv)
{
	struct parasite_blob_desc blob = { 0 };
	size_t relocs = sizeof(blob_relocs) / sizeof(blob_relocs[0]);
	size_t size;
	char *image;

	if (argc != 2)
		return 2;
	blob.hdr.mem = blob_blob;
	blob.hdr.bsize = sizeof(blob_blob);
	blob.hdr.got_off = (sizeof(blob_blob) + 7) & ~7UL;
	blob.hdr.relocs = blob_relocs;
	blob.hdr.nr_relocs = relocs;
	size = blob.hdr.got_off + 8 * relocs;
	/* The library writes a pointer there: behind everything that is looked at. */
	blob.hdr.args_ptr_off = size;
	image = calloc(1, size + 8);
	memcpy(image, blob_blob, sizeof(blob_blob));
	compel_relocs_apply(image, (void *)strtoul(argv[1], NULL, 16), &blob);
	return fwrite(image, 1, size, stdout) != size || fclose(stdout) != 0;
}
