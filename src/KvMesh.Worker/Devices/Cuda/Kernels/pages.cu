// Gathers and scatters the pages of keys and values. compile.sh beside it makes pages.ptx of it, which the program embeds and the driver
// compiles for the device at hand.
//
// One launch takes up to kMaxPages pages, whose indexes are a parameter: no memory of the device has to be filled before. The y of a block is the
// page, its x a part of the page. Sixteen bytes are copied at a time where everything is aligned to that, else single bytes.

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))

typedef unsigned int u32;
typedef unsigned long long u64;
typedef u32 v4 __attribute__((ext_vector_type(4)));

enum { kMaxPages = 512, kUnrolled = 4 };

struct Indexes {
  u32 page[kMaxPages];
};

static __device__ void copy(char *target, const char *source, u64 bytes) {
  const u64 step = (u64)__nvvm_read_ptx_sreg_nctaid_x() * __nvvm_read_ptx_sreg_ntid_x();
  const u64 first = (u64)__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
  if ((((u64)target | (u64)source | bytes) & 15) != 0) {
    for (u64 at = first; at < bytes; at += step) {
      target[at] = source[at];
    }
    return;
  }

  v4 *to = (v4 *)target;
  const v4 *from = (const v4 *)source;
  const u64 count = bytes / 16;
  u64 at = first;
  for (; at + (kUnrolled - 1) * step < count; at += kUnrolled * step) {
    v4 a = from[at], b = from[at + step], c = from[at + 2 * step], d = from[at + 3 * step];
    to[at] = a;
    to[at + step] = b;
    to[at + 2 * step] = c;
    to[at + 3 * step] = d;
  }

  for (; at < count; at += step) {
    to[at] = from[at];
  }
}

extern "C" __global__ void gather_pages(char *flat, char *pages, u64 page_bytes, const Indexes indexes) {
  const u32 place = __nvvm_read_ptx_sreg_ctaid_y();
  copy(flat + place * page_bytes, pages + indexes.page[place] * page_bytes, page_bytes);
}

extern "C" __global__ void scatter_pages(char *flat, char *pages, u64 page_bytes, const Indexes indexes) {
  const u32 place = __nvvm_read_ptx_sreg_ctaid_y();
  copy(pages + indexes.page[place] * page_bytes, flat + place * page_bytes, page_bytes);
}
