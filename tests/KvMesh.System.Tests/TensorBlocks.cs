using System.Collections.Concurrent;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.System.Tests;

/// <summary>Blocks of bf16 numbers of a small model, and what each of them becomes when a node keeps it in four bits.</summary>
internal sealed class TensorBlocks
{
    public const string Codec = "kivi4-g64";

    /// <summary>Two layers of two heads of 64 channels: 1 KiB a token.</summary>
    public const int BlockBytes = 64 * 1024;

    private const string Layouts = """
        { "layouts": [ { "name": "tiny", "models": ["org/Tiny*"], "layers": 2, "kvHeads": 2, "headChannels": 64, "blockTokens": 64 } ] }
        """;

    private static readonly KvLayout Layout = new(KvElement.BFloat16, 64, [LayerLayout.Full(2, 64), LayerLayout.Full(2, 64)]);
    private static readonly BlockGeometry Geometry = new(Layout, BlockOrder.LayerPartTokenHead, BlockRegion.Whole(Layout));

    private readonly ConcurrentDictionary<int, byte[]> _exact = [];
    private readonly ConcurrentDictionary<int, byte[]> _lossy = [];

    public static BlockScope Scope { get; } = new("org/Tiny-1", "1", Layout.Hash, 0);

    public static ReadOnlyMemory<byte> Hash(int index) => TestBytes.Hash(77, index);

    /// <summary>Tells a node what the bytes of these blocks mean, wherever its data directory is.</summary>
    public static void Describe(NodeFolders folders, string path)
    {
        File.WriteAllText(path, Layouts);
        folders.Environment["KVMESH_Codecs__LayoutFile"] = path;
    }

    public byte[] Exact(int index) => _exact.GetOrAdd(index, static index =>
    {
        var random = new Random(index);
        var payload = new byte[BlockBytes];
        for (var at = 0; at < payload.Length; at += 2)
        {
            var value = (float)(Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
            BitConverter.TryWriteBytes(payload.AsSpan(at), (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16));
        }

        return payload;
    });

    /// <summary>What its encoding decodes to, on every machine.</summary>
    public byte[] Lossy(int index) => _lossy.GetOrAdd(index, index =>
    {
        var codec = CodecRegistry.Standard.Find(Codec)!;
        var scratch = new CodecScratch();
        var encoded = new byte[BlockEncoder.MaxBytes(codec, Geometry)];
        var bytes = BlockEncoder.Encode(codec, Geometry, Exact(index), firstPosition: 0, default, encoded, scratch);
        var decoded = new byte[BlockBytes];
        Assert.Equal(DecodeResult.Ok, BlockDecoder.Decode(CodecRegistry.Standard, encoded.AsSpan(0, bytes), Geometry, decoded, scratch));
        Assert.NotEqual(Exact(index), decoded);
        return decoded;
    });
}
