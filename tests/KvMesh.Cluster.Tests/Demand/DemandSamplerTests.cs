using KvMesh.Cluster.Demand;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Cluster.Tests.Demand;

public sealed class DemandSamplerTests : IDisposable
{
    /// <summary>Decay of 30 s: a thousand requests at one moment are 1000 × ln 2 ÷ 30 s.</summary>
    private static readonly double PerRequest = Math.Log(2) / 30;

    private readonly SimulatedClock _clock = new();
    private readonly DemandTable _table;
    private readonly DemandSampler _sampler;
    private readonly byte[] _scope = [1, 2, 3];

    public DemandSamplerTests()
    {
        _table = new DemandTable(64, TimeSpan.FromSeconds(30), _clock);
        _sampler = new DemandSampler(_table, () => new DigestSecret(1, 2), TimeProvider.System);
    }

    [Fact]
    public void What_was_asked_for_is_wanted_with_its_keys()
    {
        _sampler.Note("t", _scope, Hashes(1, 3));
        Counted(() => _table.Top(8).Any(prefix => prefix.Keys.Count == 3));

        var wanted = Assert.Single(_table.Top(8), prefix => prefix.Keys.Count == 3);
        Assert.Equal("t", wanted.Tenant);
        Assert.Equal([.. _scope, .. Hashes(1, 3).AsSpan(64, 32)], wanted.Keys[^1].ToArray());
        Assert.Equal(wanted.Keys, _table.Find("t", wanted.Keys[^1].Span));
        Assert.Null(_table.Find("t", wanted.Keys[1].Span.ToArray().Reverse().ToArray()));
    }

    [Fact]
    public void Keys_that_differ_in_their_middle_are_put_together_again()
    {
        _sampler.Note("t", "before-"u8, "-after"u8, "abbccc"u8, [1, 2, 3]);
        Counted(() => _table.Top(8).Count > 0);

        var wanted = Assert.Single(_table.Top(8));
        Assert.Equal(["before-a-after", "before-bb-after", "before-ccc-after"], wanted.Keys.Select(key => System.Text.Encoding.ASCII.GetString(key.Span)));
    }

    [Fact]
    public void Of_a_chain_that_is_too_long_the_beginning_is_wanted()
    {
        var hashes = new byte[2000 * 200];
        new Random(1).NextBytes(hashes);
        var lengths = new byte[2000];
        Array.Fill(lengths, (byte)200);
        _sampler.Note("t", default, default, hashes, lengths);
        Counted(() => _table.Top(8).Count > 0);

        var wanted = Assert.Single(_table.Top(8));
        Assert.Equal(DemandSampler.MaxHashBytes / 200, wanted.Keys.Count);
        Assert.Equal(hashes[^200..].Length, wanted.Keys[^1].Length);
    }

    [Fact]
    public void Requests_that_find_no_place_count_in_the_next_one_that_does()
    {
        var hashes = Hashes(1, 1);
        var noted = 0;
        for (; noted < 1000; noted++)
        {
            _sampler.Note("t", _scope, hashes);
        }

        // One more brings the rest. While the timer is still counting it may find no place either, and then the next one brings both.
        Counted(() => _table.Top(1).Count > 0);
        Counted(() =>
        {
            noted++;
            _sampler.Note("t", _scope, hashes);
            return _table.Top(1)[0].RequestsPerSecond >= 900 * PerRequest;
        });
        Assert.True(_table.Top(1)[0].RequestsPerSecond <= (noted + 1) * PerRequest);
    }

    [Fact]
    public void A_note_takes_no_memory()
    {
        var hashes = Hashes(1, 100);
        void Notes()
        {
            for (var request = 0; request < 10_000; request++)
            {
                _sampler.Note("t", _scope, hashes);
            }
        }

        Assert.Equal(0, Allocations.Of(Notes));
    }

    [Fact]
    public void Many_threads_lose_no_sense()
    {
        Parallel.For(0, 4, thread =>
        {
            for (var request = 0; request < 2000; request++)
            {
                _sampler.Note("t", _scope, Hashes(thread, 4));
                if (request % 50 == 0)
                {
                    _sampler.Count();
                }
            }
        });
        Counted(() => _table.Top(64).Count > 0);

        // Whatever was counted is a chain that somebody asked for.
        Assert.All(_table.Top(64), prefix => Assert.All(
            prefix.Keys.Select((key, index) => (Key: key, Index: index)),
            pair => Assert.Equal(Hashes(pair.Key.Span[3], 4).AsSpan(pair.Index * 32, 32).ToArray(), pair.Key.Span[3..].ToArray())));
        Assert.NotEmpty(_table.Top(64));
    }

    /// <summary>The timer may be counting at the same moment, and then a count of the test's own does nothing.</summary>
    private void Counted(Func<bool> condition) => Eventually.HoldsBlocking(
        () =>
        {
            _sampler.Count();
            return condition();
        },
        "what was noted in the table");

    public void Dispose() => _sampler.Dispose();

    private static byte[] Hashes(int chain, int count) => [.. Enumerable.Range(0, count).SelectMany(index => TestBytes.Hash(chain, index))];
}
