using KvMesh.Engine.Blocks;
using KvMesh.Engine.Tests.Tiering;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Coding;

/// <summary>Engines that keep their blocks in four of eight bits on disk, and a look at what became of each.</summary>
public abstract class LossyEngineTests : IDisposable
{
    protected const int Blocks = 100;
    protected const int PayloadBytes = 60_000;
    private readonly TemporaryDirectory _arena = new();

    private protected RoundingCoder Coder { get; } = new();

    public void Dispose()
    {
        _arena.Dispose();
        GC.SuppressFinalize(this);
    }

    protected static byte[] KeyOf(int index) => BitConverter.GetBytes(index);

    protected static byte[] PayloadOf(int index) => TestBytes.Payload(index, PayloadBytes);

    private protected static BlockInfo InfoOf(TestEngine engine, int index) => engine.Engine.TryInspect(engine.Tenant, KeyOf(index), out var info) ? info : default;

    private protected static IEnumerable<int> OnDiskOnly(TestEngine engine) => Enumerable.Range(0, Blocks).Where(index => InfoOf(engine, index).Tiers == BlockTiers.Disk);

    private protected static bool TryReadLossless(TestEngine engine, int index, out byte[] payload)
    {
        payload = [];
        if (!engine.Engine.TryRead(engine.Tenant, KeyOf(index), ReadIntent.Use, out var read, losslessOnly: true))
        {
            return false;
        }

        using (read)
        {
            payload = read.Payload.ToArray();
            return read.Verify();
        }
    }

    protected void Options(EngineOptions options)
    {
        CrashImage.ArenaOf(_arena, diskBytes: 64 << 20)(options);
        options.Disk.EncodeShare = 1;
    }

    /// <summary>An engine with more blocks than its RAM holds, all of which are somewhere.</summary>
    private protected TestEngine Filled()
    {
        var engine = new TestEngine(Options, diskCoder: Coder);
        Fill(engine, from: 0);
        return engine;
    }

    private protected static void Fill(TestEngine engine, int from)
    {
        for (var index = from; index < from + Blocks; index++)
        {
            engine.PutContent(KeyOf(index), PayloadOf(index));
            Eventually.HoldsBlocking(() => DiskMoverTests.IsCleanAhead(engine, blocks: 4), "the demoter to keep up");
        }
    }
}
