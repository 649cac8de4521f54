using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.Events;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Host;

/// <summary>Blocks that lie encoded in RAM: more of them fit, and nobody notices but by the time that decoding takes.</summary>
public sealed class EncodedRamTests : IDisposable
{
    private const int PayloadBytes = 60_000;
    private const int FitRaw = 60;
    private readonly TemporaryDirectory _arena = new();
    private readonly BrotliCoder _coder = new();

    public void Dispose() => _arena.Dispose();

    [Fact]
    public void An_arena_keeps_more_blocks_than_fit_as_they_are()
    {
        using var engine = Open();

        Fill(engine, 3 * FitRaw);

        AssertNoneIsWrong(engine, 3 * FitRaw, least: 2 * FitRaw);
        var figures = engine.Engine.Snapshot();
        Assert.InRange(figures.EncodedBlocks, FitRaw, 3 * FitRaw);
        Assert.InRange(figures.ShadowsDropped, FitRaw, long.MaxValue);
        Assert.InRange(figures.HostCoding.Codecs.Single().DecodedBlocks, FitRaw, long.MaxValue);
        Assert.Equal(0, figures.Integrity.Mismatches);
    }

    [Fact]
    public void Without_a_coder_nothing_is_encoded()
    {
        using var engine = Open(coder: null);

        Fill(engine, 3 * FitRaw);

        Assert.Equal(0, engine.Engine.Snapshot().EncodedBlocks);
        Assert.InRange(engine.Engine.Snapshot().Tiers[0].Evictions, FitRaw, long.MaxValue);
    }

    [Fact]
    public void A_policy_of_raw_leaves_blocks_as_they_are()
    {
        _coder.Advice = CodingAdvice.Raw;
        using var engine = Open();

        Fill(engine, 2 * FitRaw);

        Assert.Equal(0, engine.Engine.Snapshot().EncodedBlocks);
        Assert.Equal(0, _coder.Encoded);
    }

    [Fact]
    public void Whoever_needs_room_encodes_when_nobody_did_before()
    {
        using var engine = Open(configure: options => options.HostCoding.EncodeFrom = 1);

        Fill(engine, 3 * FitRaw);

        // Some leave while another thread encodes what they would have given way to.
        Assert.InRange(engine.Engine.Snapshot().Tiers[0].Evictions, 0, FitRaw);
        Assert.InRange(engine.Engine.Snapshot().EncodedBlocks, FitRaw, 3 * FitRaw);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(64 << 20, false)]
    public void Whoever_needs_room_waits_for_encoding_only_where_no_disk_takes_what_leaves(long diskBytes, bool waits)
    {
        var caller = Environment.CurrentManagedThreadId;
        var hasWaited = false;
        _coder.BeforeEncode = _ =>
        {
            // Others write nothing, or they could undo what the caller wrote.
            if (Environment.CurrentManagedThreadId == caller)
            {
                hasWaited = true;
            }
        };
        using var engine = Open(configure: options =>
        {
            options.HostCoding.EncodeFrom = 1;
            options.Disk.CapacityBytes = diskBytes;
        });

        Fill(engine, 3 * FitRaw);

        Assert.Equal(waits, hasWaited);
    }

    [Fact]
    public void Beyond_its_share_of_the_processors_blocks_leave_as_they_are()
    {
        using var engine = Open(configure: options => options.HostCoding.EncodeShare = 0);

        Fill(engine, 2 * FitRaw);

        Assert.Equal(0, engine.Engine.Snapshot().EncodedBlocks);
        Assert.InRange(engine.Engine.Snapshot().Tiers[0].Evictions, FitRaw / 2, long.MaxValue);
    }

    [Fact]
    public void What_helpers_of_the_coder_took_is_of_the_share_too()
    {
        _coder.HelperTime = TimeSpan.FromDays(1);
        using var engine = Open(configure: options => options.HostCoding.EncodeShare = 1);

        Fill(engine, 3 * FitRaw);

        // One of the background and one who needs room may have begun before the share was gone.
        Assert.InRange(_coder.Encoded, 1, 2);
    }

    [Fact]
    public void A_coder_is_told_that_the_engine_stops()
    {
        using (Open())
        {
            Assert.False(_coder.WasStopped);
        }

        Assert.True(_coder.WasStopped);
    }

    [Fact]
    public void What_is_encoded_is_in_RAM_to_everybody()
    {
        using var engine = Open();
        Fill(engine, 3 * FitRaw);

        var events = new BlockEvent[1024];
        var count = engine.Engine.Events.Read(0, events);
        Assert.All(events.Take(count), news => Assert.True(news.Kind is BlockEventKind.Stored or BlockEventKind.Removed));
        Assert.All(
            Enumerable.Range(0, 3 * FitRaw),
            index => Assert.True(!engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out var info) || info.Tiers == BlockTiers.Host));
    }

    [Fact]
    public void Blocks_that_are_encoded_leave_when_nothing_else_may()
    {
        using var engine = Open(configure: options => options.ArenaBytes = 256 << 10);

        Fill(engine, 200);

        Assert.InRange(engine.Engine.Snapshot().Tiers[0].Evictions, 1, 200);
        Assert.Null(engine.Get(KeyOf(0)));
        Assert.Equal(PayloadOf(199), engine.Get(KeyOf(199)));
    }

    [Fact]
    public void A_reader_keeps_the_bytes_that_it_reads_while_their_block_is_encoded()
    {
        using var engine = Open(configure: options => options.HostCoding.EncodeFrom = 0);
        engine.PutContent(KeyOf(0), PayloadOf(0));
        Assert.True(engine.Engine.TryRead(engine.Tenant, KeyOf(0), ReadIntent.Use, out var read));
        using (read)
        {
            Eventually.HoldsBlocking(() => engine.Engine.Snapshot().EncodedBlocks == 1, "the block to be encoded");
            var place = read.PayloadOffset;

            Fill(engine, 3 * FitRaw, first: 1);

            Assert.Equal(place, read.PayloadOffset);
            Assert.True(read.Verify());
            Assert.Equal(PayloadOf(0), read.Payload.ToArray());
        }
    }

    [Fact]
    public void A_value_that_is_replaced_while_it_is_encoded_is_the_new_one()
    {
        using var isEncoding = new ManualResetEventSlim();
        using var mayEncode = new ManualResetEventSlim();
        _coder.BeforeEncode = _ =>
        {
            isEncoding.Set();
            Assert.True(mayEncode.Wait(TimeSpan.FromSeconds(60)));
        };
        using var engine = Open(configure: options => options.HostCoding.EncodeFrom = 0);
        engine.Put(KeyOf(0), PayloadOf(0), BlockTraits.Opaque);
        Assert.True(isEncoding.Wait(TimeSpan.FromSeconds(60)), "Nothing was encoded.");

        // Two clients write the key while its first value is being encoded.
        engine.Put(KeyOf(0), PayloadOf(1), BlockTraits.Opaque);
        engine.Put(KeyOf(0), PayloadOf(2), BlockTraits.Opaque);
        _coder.BeforeEncode = null;
        mayEncode.Set();

        Eventually.HoldsBlocking(() => engine.Engine.Snapshot() is { EncodedBlocks: 1, ShadowBlocks: 1 }, "the last value alone to be encoded");
        Assert.Equal(PayloadOf(2), engine.Get(KeyOf(0)));
        Fill(engine, FitRaw, first: 10);
        Assert.True(engine.Get(KeyOf(0)) is not { } payload || payload.AsSpan().SequenceEqual(PayloadOf(2)));
    }

    [Fact]
    public void What_is_removed_gives_back_everything()
    {
        using var engine = Open();
        Fill(engine, 3 * FitRaw);

        for (var index = 0; index < 3 * FitRaw; index++)
        {
            engine.Engine.Remove(engine.Tenant, KeyOf(index));
        }

        Eventually.HoldsBlocking(
            () => engine.Engine.Snapshot() is { EncodedBlocks: 0, EncodedBytes: 0, ShadowBlocks: 0 } figures && figures.Tiers[0] is { UsedBytes: 0, Blocks: 0 },
            "the arena to be empty");
    }

    [Fact]
    public void A_purge_takes_back_what_is_encoded()
    {
        using var engine = Open();
        Fill(engine, 3 * FitRaw);

        engine.Engine.Purge(engine.Tenant, null, null);
        Assert.True(engine.Engine.AwaitPurge(TimeSpan.FromSeconds(60)));

        Assert.Null(engine.Get(KeyOf(1)));
        Eventually.HoldsBlocking(() => engine.Engine.Snapshot().Tiers[0].UsedBytes == 0, "the arena to be empty");
    }

    [Fact]
    public void A_codec_that_loses_a_bit_is_not_believed()
    {
        _coder.SpoilsEncoded = payload => payload[^1] ^= 1;
        using var engine = Open(configure: options => options.HostCoding.EncodeFrom = 0);

        Fill(engine, FitRaw / 2);

        Eventually.HoldsBlocking(
            () => engine.Engine.Snapshot().HostCoding.Fallbacks.Any(fallback => fallback is { Reason: "mismatch", Blocks: > 0 }), "blocks to be tried");
        Assert.Equal(0, engine.Engine.Snapshot().EncodedBlocks);
        AssertAllThere(engine, FitRaw / 2);
    }

    [Fact]
    public void Bytes_that_decode_to_others_are_a_miss()
    {
        using var engine = Open();
        Fill(engine, 3 * FitRaw);
        _coder.SpoilsDecoded = payload => payload[17] ^= 4;

        var lost = Enumerable.Range(0, 3 * FitRaw).Count(index => engine.Get(KeyOf(index)) is not { } payload || !payload.AsSpan().SequenceEqual(PayloadOf(index)));

        _coder.SpoilsDecoded = null;
        Assert.InRange(lost, FitRaw, 3 * FitRaw);
        AssertNoneIsWrong(engine, 3 * FitRaw, least: 0);
    }

    [Fact]
    public void A_lease_keeps_what_is_encoded()
    {
        using var engine = Open(configure: options => options.ArenaBytes = 1 << 20);
        engine.PutContent(KeyOf(0), PayloadOf(0));
        Assert.True(engine.Engine.Exists(engine.Tenant, KeyOf(0), engine.Leases, TimeSpan.FromMinutes(2)));

        Fill(engine, 400, first: 1);

        Assert.InRange(engine.Engine.Snapshot().Tiers[0].Evictions, 1, 400);
        Assert.Equal(PayloadOf(0), engine.Get(KeyOf(0)));
    }

    internal static byte[] KeyOf(int index) => BitConverter.GetBytes(index);

    /// <summary>Different for each block, and a few times shorter when encoded.</summary>
    internal static byte[] PayloadOf(int index)
    {
        byte[] payload = [.. Enumerable.Range(0, PayloadBytes).Select(at => (byte)((at % 97) + (at >> 12)))];
        new Random(index).NextBytes(payload.AsSpan(0, PayloadBytes / 5));
        BitConverter.TryWriteBytes(payload, index);
        return payload;
    }

    internal static void Fill(TestEngine engine, int count, int first = 0)
    {
        for (var index = first; index < first + count; index++)
        {
            Assert.Equal(SealStatus.Sealed, engine.PutContent(KeyOf(index), PayloadOf(index)));
        }
    }

    /// <summary>Each block is what was written or is not there; so many are.</summary>
    internal static void AssertNoneIsWrong(TestEngine engine, int count, int least)
    {
        var there = 0;
        for (var index = 0; index < count; index++)
        {
            if (engine.Get(KeyOf(index)) is { } payload)
            {
                Assert.Equal(PayloadOf(index), payload);
                there++;
            }
        }

        Assert.InRange(there, least, count);
    }

    internal static void AssertAllThere(TestEngine engine, int count) =>
        Assert.All(Enumerable.Range(0, count), index => Assert.Equal(PayloadOf(index), engine.Get(KeyOf(index))));

    private TestEngine Open(Action<EngineOptions>? configure = null) => Open(_coder, configure);

    private TestEngine Open(IPayloadCoder? coder, Action<EngineOptions>? configure = null) => new(
        options =>
        {
            CrashImage.ArenaOf(_arena)(options);
            options.HostCoding.EncodeShare = 64;
            configure?.Invoke(options);
        },
        hostCoder: coder);
}
