using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Benchmarks.Protocol;

/// <summary>
/// The checksum of one chunk, walked over a region that fits into the first cache, the second, or neither. Every row moves
/// <see cref="ChunkBytes"/>: GB/s is 65.536 divided by the microseconds.
/// </summary>
[MemoryDiagnoser]
public unsafe class Crc32CBenchmarks
{
    private const int ChunkBytes = 64 * 1024;
    private const nuint Alignment = 4096;

    private byte* _source;
    private byte* _destination;
    private nint _offset;

    [Params(64 * 1024, 512 * 1024, 256 * 1024 * 1024)]
    public int RegionBytes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _source = (byte*)NativeMemory.AlignedAlloc((nuint)RegionBytes, Alignment);
        _destination = (byte*)NativeMemory.AlignedAlloc((nuint)RegionBytes, Alignment);
        new Random(1).NextBytes(new Span<byte>(_source, RegionBytes));
        new Span<byte>(_destination, RegionBytes).Fill(1);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        NativeMemory.AlignedFree(_source);
        NativeMemory.AlignedFree(_destination);
    }

    [Benchmark(Baseline = true)]
    public uint OneChain() => Crc32C.AppendSerially(0, Source());

    [Benchmark]
    public uint ThreeChains() => Crc32CLanes.Append(0, ref MemoryMarshal.GetReference(Source()), ChunkBytes / Crc32CLanes.StepBytes * Crc32CLanes.StepBytes);

    [Benchmark]
    public uint Folding() => Crc32C.Compute(Source());

    [Benchmark]
    public void Copy() => Source().CopyTo(Destination());

    [Benchmark]
    public uint CopyThenFolding()
    {
        var destination = Destination();
        Source().CopyTo(destination);
        return Crc32C.Compute(destination);
    }

    [Benchmark]
    public uint CopyAndAppend() => Crc32C.CopyAndAppend(0, Source(), Destination());

    [Benchmark]
    public uint CopyAndAppendPastTheCache() => Crc32C.CopyAndAppend(0, Source(), Destination(), streams: true);

    private ReadOnlySpan<byte> Source()
    {
        _offset = _offset + (2 * ChunkBytes) > RegionBytes ? 0 : _offset + ChunkBytes;
        return new ReadOnlySpan<byte>(_source + _offset, ChunkBytes);
    }

    private Span<byte> Destination() => new(_destination + _offset, ChunkBytes);
}
