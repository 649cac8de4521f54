using System.Runtime.InteropServices;
using KvMesh.Codecs.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Server.Coding;
using KvMesh.Server.Options;

namespace KvMesh.Server.Tests.Coding;

/// <summary>Codecs that lose something: what is said of the loss, and when a safer one is taken.</summary>
public sealed class LossyCoderTests : IDisposable
{
    private static readonly byte[] Key = "tiny:1"u8.ToArray();
    private static readonly byte[] Payload = CoderCase.Tensor(1, CoderCase.BlockBytes);

    private readonly CoderCase _case = new();

    public void Dispose() => _case.Dispose();

    [Fact]
    public void A_lossy_block_says_what_it_lost_and_decodes_always_the_same()
    {
        var coder = _case.Open(codecs => codecs.Disk = "kivi4-g64");
        var (encoded, bytes) = Encode(coder);

        Assert.Equal(("kivi4-g64", (ushort)CodecId.Kivi, 0), (encoded.Name, encoded.Codec, encoded.OverCeiling));
        Assert.InRange(encoded.Bytes, 1, Payload.Length / 2);
        Assert.Equal((ushort)CodecId.Kivi, encoded.Loss!.Codec);
        Assert.InRange(encoded.Loss.Keys, 0.01f, 0.2f);
        Assert.InRange(encoded.Loss.Values, 0.01f, 0.2f);
        Assert.InRange(encoded.Loss.Outputs, 0.005f, 0.2f);

        var first = new byte[Payload.Length];
        var second = new byte[Payload.Length];
        Assert.True(coder.TryDecode(bytes, first, out _));
        Assert.True(_case.Open(codecs => codecs.Disk = "raw").TryDecode(bytes, second, out _));
        Assert.Equal(first, second);
        Assert.NotEqual(Payload, first);
    }

    [Fact]
    public void Above_the_ceiling_the_next_safer_codec_is_tried()
    {
        var (encoded, _) = Encode(_case.Open(codecs =>
        {
            codecs.Disk = "kivi2-g32, kivi4-g64, int8, lossless";
            codecs.DiskCeiling.Keys = 0.03;
        }));

        Assert.Equal(("int8", 2), (encoded.Name, encoded.OverCeiling));
        Assert.InRange(encoded.Loss!.Keys, 0.0001f, 0.03f);
    }

    [Fact]
    public void A_ceiling_that_no_lossy_codec_keeps_ends_at_one_that_loses_nothing()
    {
        var (encoded, bytes) = Encode(_case.Open(codecs =>
        {
            codecs.Disk = "kivi4-g64, lossless";
            codecs.DiskCeiling.Outputs = 0.0001;
        }));

        Assert.Equal(("lossless", 1), (encoded.Name, encoded.OverCeiling));
        Assert.Null(encoded.Loss);
        var decoded = new byte[Payload.Length];
        Assert.True(_case.Open().TryDecode(bytes, decoded, out _));
        Assert.Equal(Payload, decoded);
    }

    [Fact]
    public void Without_a_safer_codec_the_block_stays_as_it_is()
    {
        var (encoded, _) = Encode(_case.Open(codecs =>
        {
            codecs.Disk = "kivi4-g64";
            codecs.DiskCeiling.Values = 0.0001;
        }));

        Assert.Equal((0, 1), (encoded.Bytes, encoded.OverCeiling));
    }

    [Fact]
    public void What_must_be_exact_is_encoded_by_a_codec_that_loses_nothing_or_by_none()
    {
        var block = CoderCase.Block(Key, Payload.Length);
        var exact = new CodedBlock { Tenant = block.Tenant, Model = "", Key = Key, PayloadBytes = Payload.Length, MustBeExact = true };

        Assert.Equal(CodingAdvice.Raw, _case.Open(codecs => codecs.Disk = "kivi4-g64").Advise(exact, out _));
        var coder = _case.Open(codecs => codecs.Disk = "kivi4-g64, lossless");
        Assert.Equal(CodingAdvice.Encode, coder.Advise(exact, out var maxBytes));
        var encoded = coder.Encode(exact, Payload, new byte[maxBytes]);
        Assert.Equal(("lossless", 0), (encoded.Name, encoded.OverCeiling));
        Assert.Null(encoded.Loss);
    }

    [Fact]
    public void A_rule_may_name_a_model()
    {
        var coder = _case.Open(codecs =>
        {
            codecs.Disk = "lossless";
            codecs.Rules.Add(new CodecRuleOptions { Model = "coarse", Disk = "kivi4-g64" });
        });
        var block = new CodedBlock { Tenant = "default", Model = "coarse", Key = Key, PayloadBytes = Payload.Length };
        Assert.Equal(CodingAdvice.Encode, coder.Advise(block, out var maxBytes));

        Assert.Equal("kivi4-g64", coder.Encode(block, Payload, new byte[maxBytes]).Name);
        Assert.Equal("lossless", Encode(coder).Encoded.Name);
    }

    [Theory]
    [InlineData(0x7F80, 0)]
    [InlineData(0xFF80, 20_001)]
    [InlineData(0x7FC0, 32_767)]
    [InlineData(0xFFFF, 511)]
    public void A_block_with_what_is_no_number_is_encoded_by_a_codec_that_loses_nothing(int bits, int at)
    {
        var payload = Payload.ToArray();
        BitConverter.TryWriteBytes(payload.AsSpan(2 * at), (ushort)bits);

        var (encoded, bytes) = Encode(_case.Open(codecs => codecs.Disk = "kivi2-g32, kivi4-g64, int8, lossless"), payload);

        Assert.Equal(("lossless", 3), (encoded.Name, encoded.OverCeiling));
        Assert.Null(encoded.Loss);
        var decoded = new byte[payload.Length];
        Assert.True(_case.Open().TryDecode(bytes, decoded, out _));
        Assert.Equal(payload, decoded);
        Assert.Equal(0, Encode(_case.Open(codecs => codecs.Disk = "kivi4-g64"), payload).Encoded.Bytes);
    }

    [Fact]
    public void A_block_of_zeros_and_one_of_the_largest_numbers_lose_no_more_than_they_say()
    {
        foreach (var bits in new ushort[] { 0, 0x7F7F, 0xFF7F, 0x0001 })
        {
            var payload = Payload.ToArray();
            MemoryMarshal.Cast<byte, ushort>(payload.AsSpan()).Fill(bits);

            var (encoded, bytes) = Encode(_case.Open(codecs => codecs.Disk = "kivi4-g64, lossless"), payload);

            // Their attention may be beyond what a number holds: then nothing is lost at all.
            var decoded = new byte[payload.Length];
            Assert.True(_case.Open().TryDecode(bytes, decoded, out _));
            Assert.True(encoded.Loss is { } loss ? float.IsFinite(loss.Keys) && float.IsFinite(loss.Values) : payload.AsSpan().SequenceEqual(decoded), $"{bits:x4}: {encoded}");
        }
    }

    [Theory]
    [InlineData(float.NaN, 0, 0)]
    [InlineData(0, float.NaN, 0)]
    [InlineData(float.PositiveInfinity, 0, 0)]
    [InlineData(0, float.PositiveInfinity, 0)]
    [InlineData(0, 0, float.PositiveInfinity)]
    public void An_error_that_is_no_number_is_above_any_ceiling(float keys, float values, float outputs)
    {
        Assert.True(CodecChain.Of("kivi4-g64", new CodecCeilingOptions())!.IsTooMuch(new MeasuredError(keys, values, outputs)));
        Assert.True(CodecChain.Of("kivi4-g64", new CodecCeilingOptions { Keys = 1, Values = 1, Outputs = 1 })!.IsTooMuch(new MeasuredError(keys, values, outputs)));
    }

    [Fact]
    public void A_block_without_attention_has_no_error_of_its_outputs()
    {
        var chain = CodecChain.Of("kivi4-g64", new CodecCeilingOptions { Keys = 0.1, Values = 0.1, Outputs = 0.1 })!;

        Assert.False(chain.IsTooMuch(new MeasuredError(0, 0.05f, float.NaN)));
        Assert.True(chain.IsTooMuch(new MeasuredError(0, 0.15f, float.NaN)));
    }

    private static (EncodedPayload Encoded, byte[] Bytes) Encode(TensorCoder coder, byte[]? payload = null)
    {
        payload ??= Payload;
        var block = CoderCase.Block(Key, payload.Length);
        Assert.Equal(CodingAdvice.Encode, coder.Advise(block, out var maxBytes));
        var destination = new byte[maxBytes];
        var encoded = coder.Encode(block, payload, destination);
        return (encoded, destination[..encoded.Bytes]);
    }
}
