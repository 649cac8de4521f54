using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Retention;
using KvMesh.Protocol;
using KvMesh.Protocol.Integrity;
using KvMesh.Protocol.Keys;
using KvMesh.Simulation.Retention;
using KvMesh.Simulation.Traces;
using KvMesh.TestKit;

namespace KvMesh.Simulation.Tests.Retention;

/// <summary>
/// What the simulator says of a policy is what an engine with real blocks hits under it: same trace, same clock, same room, as many blocks that leave at once, and
/// blocks that are remembered by the same fingerprints.
/// </summary>
public sealed class EngineAgreesTests
{
    private static readonly BlockScope Scope = new("model", "1", new byte[32], 0);
    /// <summary>16 bytes that name the store, and the secret of the digests.</summary>
    private static readonly byte[] Identity = [.. Enumerable.Range(0, 32).Select(number => (byte)number)];
    private static readonly DigestSecret Secret = MemoryMarshal.Read<DigestSecret>(Identity.AsSpan(16));

    /// <summary>The engine makes room for so many more blocks at once: its capacity over this.</summary>
    private const int BatchDivisor = 400;

    private static readonly byte[] Payload = new byte[64];

    public static TheoryData<RetentionKind, int> Cases
    {
        get
        {
            var cases = new TheoryData<RetentionKind, int>();
            foreach (var capacity in (int[])[300, 1500, 5000])
            {
                foreach (var kind in Enum.GetValues<RetentionKind>())
                {
                    cases.Add(kind, capacity);
                }
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void On_a_generated_trace_an_engine_hits_what_the_simulator_says(RetentionKind kind, int capacity)
    {
        var trace = ChainedTrace.Of(FleetTrace.Generate(new FleetTraceOptions { Requests = 1500, AgentShare = 0.1, Seed = 17 }));
        var clock = new TraceClock();
        using var engine = new TestEngine(
            options =>
            {
                options.Retention = kind;
                options.MaxResidentBlocks = capacity;
                options.MaxBlocks = 1 << 17;
                options.ArenaBytes = 64 << 20;
                WriteIdentity(options.DataDirectory);
            },
            clock);
        var tenant = BitConverter.ToUInt32(SHA256.HashData(Encoding.UTF8.GetBytes(engine.Tenant.Name)));
        var cache = new SimulatedCache(trace, SimulatedPolicies.Create(kind.ToString()), capacity)
        {
            Batch = 1 + (capacity / BatchDivisor),
            NewBlock = (number, parent) => new EngineBlock(number, parent, KeyDigest.Compute(Secret, tenant, KeyOf(new KeyRun(Scope.Bytes.Span, HashesOf([number])), 0)).Low),
        };
        for (var request = 0; request < trace.Requests; request++)
        {
            cache.Serve(request);
        }

        var expected = (double)cache.Hits / trace.AskedBlocks;
        var actual = HitRatioOf(trace, engine, clock);

        // W-TinyLFU compares estimates that are often equal: one use more or less of one block, and others stay.
        var tolerance = kind == RetentionKind.WTinyLfu ? 0.01 : 0.0005;
        Assert.InRange(actual, expected - tolerance, expected + tolerance);
    }

    private static double HitRatioOf(ChainedTrace trace, TestEngine engine, TraceClock clock)
    {
        var hits = 0L;
        for (var request = 0; request < trace.Requests; request++)
        {
            clock.Ticks = trace.Times[request];
            var hashes = HashesOf(trace.ChainOf(request));
            var run = new KeyRun(Scope.Bytes.Span, hashes);
            var held = engine.Engine.MatchPrefix(engine.Tenant, run, engine.Leases, TimeSpan.Zero).Blocks;
            hits += held;
            for (var index = held; index < run.Count; index++)
            {
                // Room for the rest of a long chain may cost its beginning: then more of it is here than the match says.
                var status = engine.PutContent(KeyOf(run, index), Payload, index == 0 ? default : KeyOf(run, index - 1));
                Assert.True(status is SealStatus.Sealed or SealStatus.AlreadyPresent, $"{status}");
            }
        }

        return (double)hits / trace.AskedBlocks;
    }

    /// <summary>What a data directory knows its store and its secret by: then every run has the same fingerprints.</summary>
    private static void WriteIdentity(string directory) => File.WriteAllBytes(Path.Combine(directory, "identity"), [.. Identity, .. BitConverter.GetBytes(Crc32C.Compute(Identity))]);

    private static byte[] HashesOf(ReadOnlySpan<int> chain)
    {
        var hashes = new byte[chain.Length * Limits.ChainHashBytes];
        for (var index = 0; index < chain.Length; index++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(hashes.AsSpan(index * Limits.ChainHashBytes), chain[index] + 1);
        }

        return hashes;
    }

    private static byte[] KeyOf(KeyRun run, int index)
    {
        var key = new byte[run.KeyBytes];
        run.CopyKey(index, key);
        return key;
    }

    /// <summary>A block that is remembered as the engine remembers it.</summary>
    private sealed class EngineBlock(int number, SimulatedBlock? parent, ulong fingerprint) : SimulatedBlock(number, parent)
    {
        public override ulong Fingerprint => fingerprint;
    }

    /// <summary>The time of the trace.</summary>
    private sealed class TraceClock : TimeProvider
    {
        private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public long Ticks { get; set; }

        public override DateTimeOffset GetUtcNow() => Start.AddTicks(Ticks);
    }
}
