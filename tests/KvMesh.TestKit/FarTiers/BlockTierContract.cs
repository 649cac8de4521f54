using KvMesh.Engine.Blocks;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Keys;

namespace KvMesh.TestKit.FarTiers;

/// <summary>What every far tier promises, seen through the engine that asks it.</summary>
public abstract class BlockTierContract : IDisposable
{
    protected static readonly BlockScope Scope = new("model", "1", new byte[32], 0);
    private TestEngine? _engine;

    /// <summary>The tier under test.</summary>
    protected abstract IBlockTier Tier { get; }

    /// <summary>An engine that asks the tier and has time enough for a busy machine.</summary>
    protected TestEngine Here => _engine ??= Open();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65536)]
    [InlineData(65537)]
    [InlineData((3 << 20) + 17)]
    public void Brings_a_block_whole(int bytes)
    {
        var payload = TestBytes.Payload(bytes, bytes);
        Store(Key(1, 0), payload);

        Assert.Equal(payload, ReadAnywhere(Key(1, 0)));
        Assert.Equal(payload, Here.Get(Key(1, 0)));
        var tier = Here.Engine.Snapshot().FarTiers.Single();
        Assert.Equal((1, 0, (long)bytes), (tier.Hits, tier.Failures, tier.HitBytes));
    }

    [Fact]
    public void Brings_a_block_larger_than_one_request_takes()
    {
        var payload = TestBytes.Payload(3, (9 << 20) + 1);
        Store(Key(1, 0), payload);

        Assert.Equal(payload, ReadAnywhere(Key(1, 0)));
    }

    [Fact]
    public void Brings_what_the_origin_knew_of_the_block()
    {
        Store(Key(1, 0), TestBytes.Payload(1, 100));
        Store(Key(1, 1), TestBytes.Payload(2, 100), Key(1, 0));

        Assert.NotNull(ReadAnywhere(Key(1, 0)));
        Assert.NotNull(ReadAnywhere(Key(1, 1)));

        Assert.True(Here.Engine.TryInspect(Here.Tenant, Key(1, 1), out var info));
        Assert.Equal(("model", "1", true), (info.Model, info.Revision, info.IsContent));
        Assert.True(Here.Engine.TryRead(Here.Tenant, Key(1, 1), ReadIntent.Inspect, out var read));
        using (read)
        {
            Assert.True(read.Origin.Traits.ParentKey.SequenceEqual(Key(1, 0)));
        }
    }

    [Fact]
    public void A_block_that_it_does_not_hold_is_a_miss()
    {
        Store(Key(1, 0), TestBytes.Payload(1, 100));

        Assert.Null(ReadAnywhere(Key(2, 0)));
        Assert.Equal(0, Here.Engine.Snapshot().FarTiers.Single().Hits);
    }

    [Fact]
    public void Makes_a_match_longer_by_what_it_holds()
    {
        for (var index = 0; index < 6; index++)
        {
            Store(Key(1, index), TestBytes.Payload(index, 100), index == 0 ? default : Key(1, index - 1));
        }

        Here.PutContent(Key(1, 0), TestBytes.Payload(0, 100));

        var match = MatchAnywhere(1, 8);

        Assert.Equal((6, 5), (match.Blocks, match.Elsewhere));
        Assert.Equal(6, MatchAnywhere(1, 6).Blocks);
        Assert.Equal(0, MatchAnywhere(2, 4).Blocks);
    }

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    protected static byte[] Key(int chain, int index) => Scope.KeyOf(TestBytes.Hash(chain, index));

    /// <summary>Puts a block of the default tenant where the tier finds it.</summary>
    protected abstract void Store(byte[] key, byte[] payload, byte[]? parent = null);

    protected virtual void Dispose(bool disposing)
    {
        _engine?.Dispose();
        _engine = null;
    }

    protected byte[]? ReadAnywhere(byte[] key)
    {
        if (!Here.Engine.TryReadAnywhere(Here.Tenant, key, out var read))
        {
            return null;
        }

        using (read)
        {
            return read.Verify() ? read.Payload.ToArray() : null;
        }
    }

    protected PrefixMatch MatchAnywhere(int chain, int count)
    {
        var hashes = Enumerable.Range(0, count).SelectMany(index => TestBytes.Hash(chain, index)).ToArray();
        return Here.Engine.MatchPrefixAnywhere(
            Here.Tenant, new KeyRun(Scope.Bytes.Span, hashes), Here.Leases, TimeSpan.FromSeconds(1));
    }

    private TestEngine Open()
    {
        var engine = new TestEngine(options =>
        {
            options.ArenaBytes = 64 << 20;
            options.FarTiers.ShortestDeadline = options.FarTiers.LongestDeadline = TimeSpan.FromSeconds(60);
        });
        engine.Engine.AttachTier(Tier);
        return engine;
    }
}
