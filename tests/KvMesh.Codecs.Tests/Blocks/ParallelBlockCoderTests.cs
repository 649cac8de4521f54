using KvMesh.Codecs.Blocks;
using KvMesh.Codecs.Layouts;
using KvMesh.Codecs.Raw;
using KvMesh.TestKit;

namespace KvMesh.Codecs.Tests.Blocks;

public sealed class ParallelBlockCoderTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(8)]
    public void Bytes_and_numbers_are_those_of_one_thread(int threads)
    {
        var coder = Eager(threads);
        var options = new EncodeOptions { ProbedHeads = 2 };
        foreach (var layout in new[] { BlockCase.SmallLayout, BlockCase.OddLayout })
        {
            var block = BlockCase.Of(layout);
            foreach (var codec in CodecRegistry.Standard.Presets)
            {
                var expected = block.Encode(codec, 0, options);
                Assert.Equal(expected, Encode(coder, codec, block, options));
                var decoded = new byte[block.Geometry.Bytes];
                Assert.Equal(DecodeResult.Ok, coder.Decode(CodecRegistry.Standard, expected, block.Geometry, decoded));
                Assert.Equal(BlockCase.Decode(expected, block.Geometry), decoded);
            }
        }
    }

    [Fact]
    public void A_lone_block_is_shared_and_no_more_threads_work_than_may()
    {
        const int Threads = 3;
        var codec = new WatchedCodec();
        var coder = Eager(Threads);
        var block = BlockCase.Of(BlockCase.SmallLayout);
        using var together = new CountdownEvent(Threads);
        codec.Before = () =>
        {
            // Nobody goes on before all have come: with fewer this would wait until its patience ends.
            if (!together.IsSet)
            {
                together.Signal();
                Assert.True(together.Wait(Eventually.Patience), "threads that share the block");
            }
        };

        var encoded = Encode(coder, codec, block);

        Assert.Equal(block.Encode(RawCodec.Instance), encoded);
        Assert.Equal(Threads, codec.MostAtOnce);
    }

    [Fact]
    public void Helpers_say_how_long_they_worked()
    {
        var clock = new SimulatedClock();
        var codec = new WatchedCodec();
        var coder = new ParallelBlockCoder(2, clock, bytesForThread: 1);
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var caller = Environment.CurrentManagedThreadId;
        using var helps = new ManualResetEventSlim();
        codec.Before = () =>
        {
            if (Environment.CurrentManagedThreadId == caller)
            {
                Assert.True(helps.Wait(Eventually.Patience), "a helper");
            }
            else if (!helps.IsSet)
            {
                clock.Advance(TimeSpan.FromSeconds(3));
                helps.Set();
            }
        };

        Encode(coder, codec, block);

        Assert.Equal(TimeSpan.FromSeconds(3), coder.TakeHelperTime());
        Assert.Equal(TimeSpan.Zero, coder.TakeHelperTime());
    }

    [Fact]
    public void Blocks_of_many_callers_are_right()
    {
        var coder = Eager(3);
        var codec = CodecRegistry.Standard.Find("ecq-0.34")!;
        BlockCase[] blocks = [.. Enumerable.Range(1, 6).Select(seed => BlockCase.Of(BlockCase.SmallLayout, seed: seed))];
        byte[][] expected = [.. blocks.Select(block => block.Encode(codec))];
        var wrong = 0;
        Thread[] callers =
        [
            .. Enumerable.Range(0, blocks.Length).Select(index => new Thread(() =>
            {
                for (var round = 0; round < 20; round++)
                {
                    var decoded = new byte[blocks[index].Geometry.Bytes];
                    var isRight = Encode(coder, codec, blocks[index]).AsSpan().SequenceEqual(expected[index])
                        && coder.Decode(CodecRegistry.Standard, expected[index], blocks[index].Geometry, decoded) == DecodeResult.Ok
                        && decoded.AsSpan().SequenceEqual(BlockCase.Decode(expected[index], blocks[index].Geometry));
                    Interlocked.Add(ref wrong, isRight ? 0 : 1);
                }
            })),
        ];
        Array.ForEach(callers, caller => caller.Start());
        Assert.All(callers, caller => Assert.True(caller.Join(Eventually.Patience), "a caller that comes to its end"));

        Assert.Equal(0, wrong);
    }

    [Fact]
    public void An_error_in_one_tensor_is_the_callers_and_the_coder_goes_on()
    {
        var codec = new WatchedCodec();
        var coder = Eager(3);
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var calls = 0;
        codec.Before = () =>
        {
            if (Interlocked.Increment(ref calls) == 3)
            {
                throw new InvalidDataException("the third strip");
            }
        };

        Assert.Equal("the third strip", Assert.Throws<InvalidDataException>(() => Encode(coder, codec, block)).Message);

        codec.Before = () => { };
        Assert.Equal(block.Encode(RawCodec.Instance), Encode(coder, codec, block));
    }

    [Fact]
    public void Whoever_is_told_to_stop_begins_no_further_tensor_and_still_decodes()
    {
        const int Threads = 2;
        var codec = new WatchedCodec();
        var coder = Eager(Threads);
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var layers = new System.Collections.Concurrent.ConcurrentDictionary<string, bool>();
        codec.Before = coder.Stop;
        codec.Encoded = shape => layers[$"{shape.Layer} {shape.Kind}"] = true;

        Assert.Empty(Encode(coder, codec, block));
        Assert.InRange(layers.Count, 1, Threads);
        Assert.Empty(Encode(coder, codec, block));

        var decoded = new byte[block.Geometry.Bytes];
        Assert.Equal(DecodeResult.Ok, coder.Decode(CodecRegistry.Standard, block.Encode(RawCodec.Instance), block.Geometry, decoded));
        Assert.Equal(block.Bytes, decoded);
    }

    [Fact]
    public void A_warm_coder_allocates_nothing()
    {
        var coder = Eager(2);
        var block = BlockCase.Of(BlockCase.SmallLayout);
        foreach (var name in new[] { "kivi4-g64", "lossless" })
        {
            var codec = CodecRegistry.Standard.Find(name)!;
            var encoded = new byte[BlockEncoder.MaxBytes(codec, block.Geometry)];
            var decoded = new byte[block.Geometry.Bytes];
            void Once()
            {
                var bytes = coder.Encode(codec, block.Geometry, block.Bytes, 0, default, encoded);
                coder.Decode(CodecRegistry.Standard, encoded.AsSpan(0, bytes), block.Geometry, decoded);
            }

            for (var round = 0; round < 50; round++)
            {
                Once();
            }

            Assert.Equal(0, Allocations.Of(Once));
        }
    }

    [Fact]
    public void One_spoilt_tensor_spoils_the_block()
    {
        var coder = Eager(2);
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var encoded = block.Encode(CodecRegistry.Standard.Find("int8")!);
        encoded[^1] ^= 1;
        Assert.Equal(DecodeResult.BadChecksum, coder.Decode(CodecRegistry.Standard, encoded, block.Geometry, new byte[block.Geometry.Bytes]));
        Assert.Equal(DecodeResult.NotEncoded, coder.Decode(CodecRegistry.Standard, new byte[200], block.Geometry, new byte[block.Geometry.Bytes]));
    }

    [Fact]
    public void Refuses_no_threads_and_too_little_room()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new ParallelBlockCoder(0, TimeProvider.System));
        var block = BlockCase.Of(BlockCase.SmallLayout);
        var codec = CodecRegistry.Standard.Find("int8")!;
        Assert.Throws<ArgumentException>(() => Eager(1).Encode(codec, block.Geometry, block.Bytes, 0, default, new byte[100]));
        Assert.Throws<ArgumentException>(() => Eager(2).Encode(codec, block.Geometry, block.Bytes, 0, default, new byte[100]));
    }

    [Fact]
    public void A_large_block_is_streamed_to_the_same_bytes()
    {
        var layout = new KvLayout(KvElement.BFloat16, 256, [.. Enumerable.Repeat(LayerLayout.Full(8, 128), 9)]);
        var block = BlockCase.Of(layout);
        Assert.True(block.Geometry.Bytes >= BlockDecoder.MinStreamedBytes);
        foreach (var name in new[] { "int8", "kivi4-g64" })
        {
            var codec = CodecRegistry.Standard.Find(name)!;
            var encoded = block.Encode(codec, 512);
            var aligned = GC.AllocateUninitializedArray<byte>(block.Geometry.Bytes + 64, pinned: true);
            var start = (int)(-System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(aligned, 0) & 63);
            var streamed = aligned.AsMemory(start, block.Geometry.Bytes);
            Assert.Equal(DecodeResult.Ok, BlockDecoder.Decode(CodecRegistry.Standard, encoded, block.Geometry, streamed.Span, new CodecScratch()));
            for (var layer = 0; layer < 9; layer++)
            {
                // One layer is too small to be streamed.
                var part = new BlockGeometry(layout, BlockOrder.LayerPartTokenHead, BlockRegion.Layer(layout, layer));
                Assert.True(BlockCase.Decode(encoded, part).AsSpan().SequenceEqual(streamed.Span.Slice(layer * part.Bytes, part.Bytes)), $"{name}, layer {layer}");
            }
        }
    }

    /// <summary>One that shares the smallest block.</summary>
    private static ParallelBlockCoder Eager(int threads) => new(threads, TimeProvider.System, bytesForThread: 1);

    private static byte[] Encode(ParallelBlockCoder coder, KvCodec codec, BlockCase block, EncodeOptions options = default)
    {
        var buffer = new byte[BlockEncoder.MaxBytes(codec, block.Geometry)];
        return buffer[..coder.Encode(codec, block.Geometry, block.Bytes, 0, options, buffer)];
    }

    /// <summary>Strips as they are, and somebody who looks on.</summary>
    private sealed class WatchedCodec : KvCodec
    {
        private readonly Lock _lock = new();
        private int _atOnce;

        public Action Before { get; set; } = () => { };

        public Action<StripShape> Encoded { get; set; } = _ => { };

        public int MostAtOnce { get; private set; }

        public override CodecId Id => CodecId.Raw;

        public override string Name => "watched";

        public override bool IsLossless => true;

        public override bool Codes(in PlaneShape plane) => RawCodec.Instance.Codes(plane);

        public override int MaxStripBytes(in StripShape shape) => RawCodec.Instance.MaxStripBytes(shape);

        public override int Encode(in StripShape shape, in StripSource source, Span<byte> destination, CodecScratch scratch)
        {
            lock (_lock)
            {
                MostAtOnce = Math.Max(MostAtOnce, ++_atOnce);
            }

            try
            {
                Before();
                Encoded(shape);
                return RawCodec.Instance.Encode(shape, source, destination, scratch);
            }
            finally
            {
                lock (_lock)
                {
                    _atOnce--;
                }
            }
        }

        public override bool TryDecode(in StripShape shape, ReadOnlySpan<byte> source, in StripTarget target, CodecScratch scratch) =>
            RawCodec.Instance.TryDecode(shape, source, target, scratch);
    }
}
