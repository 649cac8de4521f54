using KvMesh.Engine;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Coding;
using KvMesh.Engine.FarTiers;
using KvMesh.Protocol.Keys;
using KvMesh.Remote.Redis.Blocks;
using KvMesh.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvMesh.Remote.Tests.Redis.Blocks;

/// <summary>An engine with a Redis tier. It offers blocks when the test says so, unless the test asks for more.</summary>
internal sealed class TierNode : IDisposable
{
    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);

    private readonly TestEngine _engine;

    public TierNode(
        string address, Action<RedisTierOptions>? configure = null, Action<EngineOptions>? configureEngine = null, string cluster = "test",
        string marker = "", IPayloadCoder? coder = null)
    {
        Address = address;
        var options = new RedisTierOptions
        {
            Address = address,
            ConnectDeadline = Eventually.Patience,
            Deadline = Eventually.Patience,
            MatchDeadline = Eventually.Patience,
        };
        configure?.Invoke(options);
        Assert.Empty(options.Validate("RedisTier"));
        _engine = new TestEngine(engine =>
        {
            engine.ArenaBytes = 64 << 20;
            engine.FarTiers.ShortestDeadline = engine.FarTiers.LongestDeadline = Eventually.Patience;
            engine.FarTiers.OffersLeaving = false;
            configureEngine?.Invoke(engine);
        });
        Tier = new RedisBlockTier(options, cluster, Engine.Tenants.All, marker, TimeProvider.System, NullLoggerFactory.Instance, coder: coder);
        Engine.AttachTier(Tier);
    }

    /// <summary>Where the server is.</summary>
    public string Address { get; }

    public RedisBlockTier Tier { get; }

    public TestEngine Test => _engine;

    public BlockEngine Engine => _engine.Engine;

    public Tenant Tenant => _engine.Tenant;

    public RedisTierMetrics Metrics => Tier.Metrics;

    public static byte[] Key(int chain, int index = 0) => Scope.KeyOf(TestBytes.Hash(chain, index));

    /// <summary>Options for tests of servers that do not answer: short, but not so short that a busy machine fails them.</summary>
    public static void Impatient(RedisTierOptions options) =>
        options.ConnectDeadline = options.Deadline = options.MatchDeadline = TimeSpan.FromSeconds(2);

    /// <summary>Puts a block here and offers it to the tier.</summary>
    public bool Store(byte[] key, byte[] payload, byte[]? parent = null, bool isWanted = true, Tenant? tenant = null)
    {
        _engine.Put(key, payload, BlockTraits.Content("model", "1", parent), default, tenant);
        return Offer(key, isWanted, tenant);
    }

    public bool Offer(byte[] key, bool isWanted = true, Tenant? tenant = null)
    {
        Assert.True(Engine.TryRead(tenant ?? Tenant, key, ReadIntent.Inspect, out var read), "the block is not here");
        using (read)
        {
            return Tier.Offer(new LeavingBlock
            {
                Tenant = tenant ?? Tenant,
                Key = key,
                Payload = read.Payload,
                Checksums = read.Checksums,
                Origin = read.Origin,
                IsWanted = isWanted,
            });
        }
    }

    /// <summary>The payload from here or from the tier, or null.</summary>
    public byte[]? Read(byte[] key, Tenant? tenant = null)
    {
        if (!Engine.TryReadAnywhere(tenant ?? Tenant, key, out var read))
        {
            return null;
        }

        using (read)
        {
            return read.Verify() ? read.Payload.ToArray() : null;
        }
    }

    public int Match(int chain, int count)
    {
        var hashes = Enumerable.Range(0, count).SelectMany(index => TestBytes.Hash(chain, index)).ToArray();
        return Engine.MatchPrefixAnywhere(Tenant, new KeyRun(Scope.Bytes.Span, hashes), _engine.Leases, TimeSpan.Zero).Blocks;
    }

    public bool Exists(byte[] key) => Engine.ExistsAnywhere(Tenant, key, _engine.Leases, TimeSpan.Zero);

    public void Dispose()
    {
        _engine.Dispose();
        Tier.Dispose();
    }
}
