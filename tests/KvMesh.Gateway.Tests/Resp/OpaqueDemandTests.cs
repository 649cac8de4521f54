using System.Text;
using KvMesh.Cluster.Demand;
using KvMesh.Gateway.Resp.Keys;
using KvMesh.Protocol.Keys;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>What clients of the Redis door ask for is counted as prompts, as on the native door.</summary>
public sealed class OpaqueDemandTests : IDisposable
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(2);

    // The sampler counts when the test says so: a timer might count before the clock is moved, or be at it when the test looks.
    private readonly SimulatedClock _clock = new() { HasTimers = false };
    private readonly ContentKeys _keys = new([]);
    private readonly DemandTable _table;
    private readonly DemandSampler _sampler;
    private readonly OpaqueChains _chains;

    public OpaqueDemandTests()
    {
        _table = new DemandTable(64, TimeSpan.FromSeconds(30), _clock);
        _sampler = new DemandSampler(_table, () => new DigestSecret(1, 2), _clock);
        _chains = new OpaqueChains(Window, 64, _clock) { Demand = _sampler };
    }

    public void Dispose() => _sampler.Dispose();

    [Fact]
    public void A_lookup_that_ends_at_a_miss_is_one_request_for_what_was_there()
    {
        Probe("a1", "b22", "c333", "d");
        Probe(isPresent: false, "e");

        Assert.Equal([["a1", "b22", "c333", "d"]], Wanted());
        Assert.Equal(1, Requests("d"), 3);
    }

    [Fact]
    public void Loads_after_a_lookup_are_no_request_of_their_own()
    {
        Probe("a1", "a2", "a3");
        Load("a1", "a2", "a3");
        _clock.Advance(TimeSpan.FromSeconds(10));
        Load("a1", "a2", "a3");

        Assert.Equal([["a1", "a2", "a3"]], Wanted());
        Assert.Equal(1, Requests("a3"), 3);
    }

    [Fact]
    public void A_lookup_that_is_repeated_and_one_after_a_pause_are_requests_each()
    {
        Probe("a1", "a2", "a3");
        Probe("a1", "a2", "a3");
        Pass(Window * 2);
        Probe("b1", "b2");
        Load("b1");

        Assert.Equal(2, Requests("a3"), 0);
        Assert.Equal(1, Requests("b2"), 3);
        Assert.Equal(2, Wanted().Length);
    }

    [Fact]
    public void Loads_that_nobody_announced_are_a_request_up_to_a_miss_or_a_pause()
    {
        Load("a1", "a2", "a3");
        Load(isPresent: false, "a4");
        Load("b1", "b2");
        Pass(Window * 2);
        Load("c1");

        Assert.Equal(1, Requests("a3"), 0);
        Assert.Equal(1, Requests("b2"), 0);
        Assert.Equal(0, Requests("a4"));
    }

    [Fact]
    public void Halves_of_a_pair_count_once_and_their_keys_are_those_that_were_asked_for()
    {
        for (var round = 0; round < 2; round++)
        {
            foreach (var hash in new[] { "a1", "a2" })
            {
                Loaded(Key(hash) + "metadata", true);
                Loaded(Key(hash) + "kv_bytes", true);
            }
        }

        Loaded(Key("a3") + "metadata", false);
        _sampler.Count();

        var prefix = Assert.Single(_table.Top(8));
        Assert.Equal([Key("a1") + "metadata", Key("a2") + "metadata"], prefix.Keys.Select(key => Encoding.ASCII.GetString(key.Span)));
        Assert.Equal(2 * Math.Log(2) / 30, prefix.RequestsPerSecond, 3);
    }

    [Fact]
    public void Tenants_and_sources_do_not_mix()
    {
        Probed(1, "blue", Key("a1"), true);
        Probed(2, "green", Key("b1"), true);
        Probed(1, "blue", Key("a2"), true);
        Probed(2, "green", Key("b2"), false);
        Probed(1, "blue", Key("a3"), false);
        _sampler.Count();

        Assert.Equal([("blue", 2), ("green", 1)], _table.Top(8).Select(prefix => (prefix.Tenant, prefix.Keys.Count)).Order());
    }

    [Fact]
    public void Of_more_prompts_at_once_than_there_is_room_for_some_are_not_counted_until_others_pause()
    {
        for (ulong source = 1; source <= 500; source++)
        {
            Probed(source, "t", Key($"{source:x}"), true);
        }

        Pass(Window * 2);
        for (ulong source = 501; source <= 600; source++)
        {
            Probed(source, "t", Key($"{source:x}"), true);
            Probed(source, "t", Key("f"), false);
            _sampler.Count();
        }

        Assert.True(_table.Top(64).Count == 64, "prompts of later sources are counted");
    }

    [Fact]
    public void Following_a_prompt_takes_no_memory()
    {
        var keys = Enumerable.Range(0, 100).Select(index => Encoding.ASCII.GetBytes(Key($"{index:x}"))).ToArray();
        for (var round = 0; round < 3; round++)
        {
            Array.ForEach(keys, key => Probed(1, "t", key, true));
            _sampler.Count();
        }

        var allocated = Allocations.Of(() =>
        {
            for (var round = 0; round < 20; round++)
            {
                foreach (var key in keys)
                {
                    Probed(1, "t", key, true);
                }
            }
        });

        Assert.Equal(0, allocated);
    }

    private static string Key(string hash) => $"m@1@0@{hash}@half";

    private void Probe(params string[] hashes) => Probe(true, hashes);

    private void Probe(bool isPresent, params string[] hashes) => Array.ForEach(hashes, hash => Probed(1, "t", Key(hash), isPresent));

    private void Load(params string[] hashes) => Load(true, hashes);

    private void Load(bool isPresent, params string[] hashes) => Array.ForEach(hashes, hash => Loaded(Key(hash), isPresent));

    /// <summary>Time goes on, and what was copied before is counted as of before.</summary>
    private void Pass(TimeSpan time)
    {
        _sampler.Count();
        _clock.Advance(time);
    }

    private void Probed(ulong source, string tenant, string key, bool isPresent) => Probed(source, tenant, Encoding.ASCII.GetBytes(key), isPresent);

    private void Probed(ulong source, string tenant, byte[] key, bool isPresent)
    {
        Assert.True(_keys.TryParse(key, out var parts));
        _chains.Probed(source, tenant, key, parts, isPresent);
    }

    private void Loaded(string text, bool isPresent)
    {
        var key = Encoding.ASCII.GetBytes(text);
        Assert.True(_keys.TryParse(key, out var parts));
        _chains.Loaded(1, "t", key, parts, isPresent);
    }

    /// <summary>The hashes of each prompt.</summary>
    private string[][] Wanted()
    {
        _sampler.Count();
        return [.. _table.Top(8).Select(prefix => prefix.Keys.Select(key => Encoding.ASCII.GetString(key.Span).Split('@')[3]).ToArray())];
    }

    /// <summary>How often the prompt up to a block was asked for, decay of some seconds aside.</summary>
    private double Requests(string hash)
    {
        _sampler.Count();
        var prefix = _table.Top(64).FirstOrDefault(prefix => prefix.Keys[^1].Span.SequenceEqual(Encoding.ASCII.GetBytes(Key(hash))));
        return (prefix?.RequestsPerSecond ?? 0) * 30 / Math.Log(2);
    }
}
