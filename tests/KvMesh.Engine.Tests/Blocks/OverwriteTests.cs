using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using KvMesh.Engine.Blocks;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Blocks;

/// <summary>A key that is overwritten again and again is there all the time, for whoever asks in whatever way.</summary>
public sealed class OverwriteTests
{
    private const int Keys = 4;
    private const int Rounds = 20_000;

    private readonly ConcurrentQueue<string> _violations = [];
    private volatile bool _isDone;
    private long _looks;

    [Fact]
    public async Task A_key_that_is_overwritten_is_never_missing()
    {
        // Few buckets and neighbours that come and go, so that lists of the index change around the keys.
        using var engine = new TestEngine(options => options.MaxBlocks = 1024);
        for (var key = 0; key < Keys; key++)
        {
            engine.Put(KeyOf(key), PayloadOf(key, 0), BlockTraits.Opaque);
        }

        Task[] readers =
        [
            Eventually.Run(() => Look(key => Read(engine, key))),
            Eventually.Run(() => Look(key => Ask(engine, key))),
            Eventually.Run(() => Look(_ => Scan(engine))),
        ];
        Task[] writers = [Eventually.Run(() => Overwrite(engine)), Eventually.Run(() => ChangeNeighbours(engine))];
        try
        {
            await Task.WhenAll(writers).Within("the end of the writers");
        }
        finally
        {
            _isDone = true;
        }

        await Task.WhenAll(readers).Within("the end of the readers");
        Assert.True(_violations.IsEmpty, $"{_violations.Count} violations in {_looks} looks; the first: {_violations.FirstOrDefault()}");
        Assert.True(_looks >= 1000, $"The readers looked {_looks} times while keys were overwritten.");
    }

    [Fact]
    public async Task Of_removals_during_overwrites_each_finds_a_value()
    {
        using var engine = new TestEngine();
        var removed = 0;
        for (var round = 0; round < 2000; round++)
        {
            engine.Put("key"u8, "old"u8, BlockTraits.Opaque);
            var overwrite = Eventually.Run(() => engine.Put("key"u8, "new"u8, BlockTraits.Opaque));
            removed += engine.Engine.Remove(engine.Tenant, "key"u8) ? 1 : 0;
            await overwrite.Within("an overwrite");
        }

        Assert.Equal(2000, removed);
    }

    private static byte[] KeyOf(int key) => Encoding.ASCII.GetBytes($"key-{key}");

    private static byte[] PayloadOf(int key, int round) => Encoding.ASCII.GetBytes($"key-{key} in round {round}");

    private void Overwrite(TestEngine engine)
    {
        // As long as it takes the readers to begin, on a machine that is slow to start their threads.
        var startedAt = Stopwatch.GetTimestamp();
        for (var round = 1; round <= Rounds || (Interlocked.Read(ref _looks) < 1000 && Stopwatch.GetElapsedTime(startedAt) < Eventually.Patience / 2); round++)
        {
            Assert.Equal(SealStatus.Sealed, engine.Put(KeyOf(round % Keys), PayloadOf(round % Keys, round), BlockTraits.Opaque));
        }
    }

    private void ChangeNeighbours(TestEngine engine)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var key = Encoding.ASCII.GetBytes($"neighbour-{round % 512}");
            if (!engine.Engine.Remove(engine.Tenant, key))
            {
                engine.Put(key, "neighbour"u8, BlockTraits.Opaque);
            }
        }
    }

    private void Look(Action<int> look)
    {
        for (var key = 0; !_isDone && _violations.IsEmpty; key = (key + 1) % Keys)
        {
            look(key);
            Interlocked.Increment(ref _looks);
        }
    }

    private void Read(TestEngine engine, int key)
    {
        var payload = engine.Get(KeyOf(key));
        if (payload is null || !Encoding.ASCII.GetString(payload).StartsWith($"key-{key} in round ", StringComparison.Ordinal))
        {
            _violations.Enqueue($"a read of key {key} gave {(payload is null ? "a miss" : Encoding.ASCII.GetString(payload))}");
        }
    }

    private void Ask(TestEngine engine, int key)
    {
        if (!engine.Engine.Exists(engine.Tenant, KeyOf(key), engine.Leases, key % 2 == 0 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(1))
            || !engine.Engine.TryInspect(engine.Tenant, KeyOf(key), out _)
            || !engine.Engine.SetExpiry(engine.Tenant, KeyOf(key), 0))
        {
            _violations.Enqueue($"key {key} does not exist");
        }
    }

    private void Scan(TestEngine engine)
    {
        HashSet<string> seen = [];
        var cursor = 0L;
        do
        {
            cursor = engine.Engine.Scan(engine.Tenant, cursor, 64, (key, _) => seen.Add(Encoding.ASCII.GetString(key.Span)));
        }
        while (cursor != 0);

        for (var key = 0; key < Keys; key++)
        {
            if (!seen.Contains($"key-{key}"))
            {
                _violations.Enqueue($"an iteration left out key {key}");
            }
        }
    }
}
