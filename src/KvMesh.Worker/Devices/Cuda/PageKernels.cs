using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace KvMesh.Worker.Devices.Cuda;

/// <summary>The kernels of Kernels/pages.cu, loaded into the current context.</summary>
internal sealed unsafe class PageKernels
{
    /// <summary>Pages of one launch: kMaxPages of the source.</summary>
    public const int MaxPages = 512;

    private const uint Threads = 256;

    /// <summary>Bytes that a block of threads copies in one round: four times sixteen a thread.</summary>
    private const uint RoundBytes = Threads * 64;

    /// <summary>Blocks that share a page at most; many pages fill a device by themselves.</summary>
    private const uint MaxBlocksOfPage = 64;

    private readonly CudaDriver _driver;
    private readonly nint _module;
    private readonly nint _gather;
    private readonly nint _scatter;

    public PageKernels(CudaDriver driver)
    {
        _driver = driver;
        nint module;
        fixed (byte* text = Encoding.ASCII.GetBytes(Source + '\0'))
        {
            driver.Check(driver.ModuleLoadDataEx(&module, text, 0, null, null), "cuModuleLoadDataEx");
        }

        _module = module;
        _gather = Find("gather_pages\0"u8);
        _scatter = Find("scatter_pages\0"u8);
    }

    /// <summary>The text that the driver compiles.</summary>
    public static string Source
    {
        get
        {
            using var stream = typeof(PageKernels).Assembly.GetManifestResourceStream("pages.ptx")!;
            using var reader = new StreamReader(stream, Encoding.ASCII);
            return reader.ReadToEnd();
        }
    }

    public void Gather(nint stream, ulong flat, ulong pages, int pageBytes, ReadOnlySpan<int> indexes) => Launch(_gather, stream, flat, pages, pageBytes, indexes);

    public void Scatter(nint stream, ulong flat, ulong pages, int pageBytes, ReadOnlySpan<int> indexes) => Launch(_scatter, stream, flat, pages, pageBytes, indexes);

    public void Unload() => _driver.Check(_driver.ModuleUnload(_module), "cuModuleUnload");

    private void Launch(nint kernel, nint stream, ulong flat, ulong pages, int pageBytes, ReadOnlySpan<int> indexes)
    {
        var bytes = (ulong)pageBytes;
        var blocks = Math.Clamp(((uint)pageBytes + RoundBytes - 1) / RoundBytes, 1, MaxBlocksOfPage);
        PageIndexes part = default;
        void** arguments = stackalloc void*[] { &flat, &pages, &bytes, &part };
        while (indexes.Length > 0)
        {
            var count = Math.Min(indexes.Length, MaxPages);
            MemoryMarshal.AsBytes(indexes[..count]).CopyTo(MemoryMarshal.AsBytes((Span<int>)part));
            _driver.Check(_driver.LaunchKernel(kernel, blocks, (uint)count, 1, Threads, 1, 1, 0, stream, arguments, null), "cuLaunchKernel");
            indexes = indexes[count..];
            flat += bytes * (ulong)count;
        }
    }

    private nint Find(ReadOnlySpan<byte> name)
    {
        nint function;
        fixed (byte* text = name)
        {
            _driver.Check(_driver.ModuleGetFunction(&function, _module, text), "cuModuleGetFunction");
        }

        return function;
    }
}

/// <summary>The struct Indexes of the kernels: the driver copies it when a launch is queued.</summary>
[InlineArray(PageKernels.MaxPages)]
internal struct PageIndexes
{
    private int _first;
}
