using System.Buffers.Binary;
using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;

namespace KvMesh.LoadTest.Verbs;

/// <summary>
/// Blocks of keys and values that a checker can make again, as the one who wrote them: rows of bf16 numbers with channels of their own magnitude, from
/// a place that the key says, and one row that only this key has. One thread at a time.
/// </summary>
internal sealed class TensorBlocks
{
    private const int Channels = 64;

    /// <summary>As many as a block of the recorded traces has.</summary>
    private const int Tokens = 512;

    private const int RowBytes = Channels * sizeof(ushort);
    private const int PatternRows = 8192;

    private readonly byte[] _pattern;
    private readonly BlockGeometry _geometry;
    private readonly CodecScratch _scratch = new();
    private readonly byte[] _decoded;
    private byte[] _encoded = [];

    /// <param name="layers">Layers of a block, each of 128 KiB.</param>
    public TensorBlocks(int layers = 2)
    {
        Layout = new KvLayout(
            KvElement.BFloat16, Tokens, Enumerable.Repeat(LayerLayout.Full(1, Channels), layers), new RopeSpec { Theta = 10000, RotaryChannels = Channels });
        _geometry = new BlockGeometry(Layout, BlockOrder.LayerPartTokenHead, new BlockRegion(0, layers, HeadSelection.All, 0, Tokens));
        _decoded = new byte[_geometry.Bytes];
        var drawn = PatternRows * RowBytes;
        _pattern = new byte[drawn + _geometry.Bytes];
        var random = new Random(4);
        for (var at = 0; at < drawn; at += sizeof(ushort))
        {
            Write(_pattern.AsSpan(at), Normal(random) + (at / sizeof(ushort) % Channels % 29 == 5 ? 5 : 0));
        }

        for (var at = drawn; at < _pattern.Length; at += drawn)
        {
            _pattern.AsSpan(0, Math.Min(drawn, _pattern.Length - at)).CopyTo(_pattern.AsSpan(at));
        }
    }

    /// <summary>What <c>layouts.json</c> says of them.</summary>
    public string Layouts => FormattableString.Invariant(
        $$"""{ "layouts": [ { "name": "loadtest", "layers": {{Layout.Layers.Length}}, "kvHeads": 1, "headChannels": 64, "ropeTheta": 10000, "blockTokens": 512 } ] }""");

    public KvLayout Layout { get; }

    /// <summary>Bytes of a block.</summary>
    public int Bytes => _geometry.Bytes;

    /// <summary>Writes the block of a key.</summary>
    /// <param name="hash">Hash of its chain, 32 bytes.</param>
    public void Fill(ReadOnlySpan<byte> hash, Span<byte> block)
    {
        var first = (int)(BinaryPrimitives.ReadUInt32LittleEndian(hash) % PatternRows);
        _pattern.AsSpan(first * RowBytes, block.Length).CopyTo(block);
        var own = block.Slice((int)(BinaryPrimitives.ReadUInt32LittleEndian(hash[4..]) % (uint)(block.Length / RowBytes)) * RowBytes, RowBytes);
        var random = new Random(BinaryPrimitives.ReadInt32LittleEndian(hash[8..]));
        for (var at = 0; at < RowBytes; at += sizeof(ushort))
        {
            Write(own[at..], Normal(random));
        }
    }

    /// <summary>Bytes that a block of the key may have without a row of its own: whoever measures need not copy them first.</summary>
    public ReadOnlyMemory<byte> View(ReadOnlySpan<byte> hash) =>
        _pattern.AsMemory((int)(BinaryPrimitives.ReadUInt32LittleEndian(hash) % PatternRows) * RowBytes, Bytes);

    /// <summary>
    /// Whether a block begins as <see cref="View"/> does, whose first tokens stay as they are in every codec, and is nowhere far from it. A sample of the rows.
    /// </summary>
    public bool IsLike(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> read)
    {
        const int RowsApart = 61;
        var view = View(hash).Span;
        var (distance, size) = (0f, 0f);
        for (var row = 0; row < read.Length; row += RowsApart * RowBytes)
        {
            for (var at = row; at < row + RowBytes; at += sizeof(ushort))
            {
                var written = Read(view[at..]);
                distance += Math.Abs(written - Read(read[at..]));
                size += Math.Abs(written);
            }
        }

        return read.Length == view.Length && read[..RowBytes].SequenceEqual(view[..RowBytes]) && distance <= size / 2;
    }

    /// <summary>Whether a block is the one that was written, or the one that its encoding decodes to.</summary>
    /// <param name="written">What <see cref="Fill"/> wrote.</param>
    /// <param name="read">What came back.</param>
    /// <param name="codec">The codec of the node; null: none.</param>
    public bool IsRight(ReadOnlySpan<byte> written, ReadOnlySpan<byte> read, KvCodec? codec)
    {
        if (written.SequenceEqual(read))
        {
            return true;
        }

        if (codec is null)
        {
            return false;
        }

        if (_encoded.Length == 0)
        {
            _encoded = new byte[BlockEncoder.MaxBytes(codec, _geometry)];
        }

        var bytes = BlockEncoder.Encode(codec, _geometry, written, firstPosition: 0, new EncodeOptions(), _encoded, _scratch);
        return BlockDecoder.Decode(CodecRegistry.Standard, _encoded.AsSpan(0, bytes), _geometry, _decoded, _scratch) == DecodeResult.Ok && read.SequenceEqual(_decoded);
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static float Read(ReadOnlySpan<byte> place) => BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(place) << 16);

    private static void Write(Span<byte> place, double value) =>
        BinaryPrimitives.WriteUInt16LittleEndian(place, (ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16));
}
