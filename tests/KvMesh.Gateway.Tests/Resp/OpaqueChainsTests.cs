using System.Text;
using KvMesh.Gateway.Resp.Keys;
using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

public sealed class OpaqueChainsTests
{
    private const ulong Source = 1;

    private readonly SimulatedClock _clock = new();
    private readonly ContentKeys _keys = new([]);
    private readonly OpaqueChains _chains;

    public OpaqueChainsTests() => _chains = new OpaqueChains(TimeSpan.FromSeconds(2), 64, _clock);

    [Fact]
    public void The_first_missing_block_follows_the_last_present_one()
    {
        Probe("a1", true);
        Probe("a2", true);
        Probe("a3", false);

        Assert.Equal(Key("a2"), Store("a3"));
        Assert.Equal(Key("a3"), Store("a4"));
        Assert.Equal(Key("a4"), Store("a5"));
    }

    [Fact]
    public void A_prompt_that_misses_at_once_begins_a_chain()
    {
        Probe("a1", false);
        Store("a1");
        Store("a2");
        Probe("b1", false);

        Assert.Equal("", Store("b1"));
        Assert.Equal(Key("b1"), Store("b2"));
    }

    [Fact]
    public void A_prompt_after_one_that_was_all_there_is_not_glued_to_it()
    {
        Probe("a1", true);
        Probe("a2", true);
        Load("a1");
        Load("a2");
        Probe("b1", true);
        Probe("b2", false);
        Probe("c1", false);

        Assert.Equal(Key("b1"), Store("b2"));
        Assert.Equal("", Store("c1"));
    }

    [Fact]
    public void A_prompt_that_is_asked_again_begins_anew()
    {
        Probe("a1", true);
        Probe("a2", true);
        Probe("a1", true);
        Probe("a9", false);

        Assert.Equal(Key("a1"), Store("a9"));
    }

    [Fact]
    public void What_a_miss_followed_is_remembered_until_the_block_was_computed()
    {
        Probe("a1", true);
        Probe("a2", false);
        _clock.Advance(TimeSpan.FromMinutes(1));

        Assert.Equal(Key("a1"), Store("a2"));
    }

    [Fact]
    public void A_pause_ends_a_run()
    {
        Probe("a1", true);
        Store("x");
        _clock.Advance(TimeSpan.FromSeconds(2.1));
        Probe("a2", false);

        Assert.Equal("", Store("a2"));
        _clock.Advance(TimeSpan.FromSeconds(2.1));
        Assert.Equal("", Store("a3"));
    }

    [Fact]
    public void Sources_models_ranks_and_tags_are_apart()
    {
        Assert.Equal("", Store("a1"));
        Assert.Equal("", Stored(2, Key("a2")));
        Assert.Equal("", Stored(Source, "other@1@0@a2@half"));
        Assert.Equal("", Stored(Source, "m@1@1@a2@half"));
        Assert.Equal("", Stored(Source, "m@1@0@a2@half@user%x"));
        Assert.Equal(Key("a1"), Store("a2"));
    }

    [Fact]
    public void Halves_of_a_pair_chain_by_their_bytes()
    {
        Assert.True(_keys.TryParse(Encoding.ASCII.GetBytes(Key("a1") + "metadata"), out var parts));
        _chains.Probed(Source, "t", Encoding.ASCII.GetBytes(Key("a1") + "metadata"), parts, true);
        Assert.True(_keys.TryParse(Encoding.ASCII.GetBytes(Key("a2") + "metadata"), out parts));
        _chains.Probed(Source, "t", Encoding.ASCII.GetBytes(Key("a2") + "metadata"), parts, false);

        Assert.Equal(Key("a1") + "kv_bytes", Stored(Source, Key("a2") + "kv_bytes"));
    }

    [Fact]
    public void Remembers_a_bounded_number_of_families_and_misses()
    {
        for (var index = 0; index < 10_000; index++)
        {
            var key = Encoding.ASCII.GetBytes($"model{index}@1@0@abc@half");
            Assert.True(_keys.TryParse(key, out var parts));
            _chains.Probed((ulong)index, "t", key, parts, false);
        }

        var (families, misses) = _chains.Remembered;
        Assert.InRange(families, 1, 64);
        Assert.InRange(misses, 1, 64 * 8);
    }

    [Fact]
    public void A_window_of_nothing_guesses_nothing()
    {
        var chains = new OpaqueChains(TimeSpan.Zero, 64, _clock);
        var parent = new byte[1024];
        for (var index = 1; index < 4; index++)
        {
            var key = Encoding.ASCII.GetBytes(Key($"a{index}"));
            Assert.True(_keys.TryParse(key, out var parts));
            Assert.Equal(0, chains.Stored(Source, key, parts, parent));
        }

        Assert.Equal((0, 0), chains.Remembered);
    }

    private static string Key(string hash) => $"m@1@0@{hash}@half";

    private void Probe(string hash, bool isPresent)
    {
        var key = Encoding.ASCII.GetBytes(Key(hash));
        Assert.True(_keys.TryParse(key, out var parts));
        _chains.Probed(Source, "t", key, parts, isPresent);
    }

    private void Load(string hash)
    {
        var key = Encoding.ASCII.GetBytes(Key(hash));
        Assert.True(_keys.TryParse(key, out var parts));
        _chains.Loaded(Source, "t", key, parts, true);
    }

    private string Store(string hash) => Stored(Source, Key(hash.Replace('x', 'f')));

    private string Stored(ulong source, string key)
    {
        var bytes = Encoding.ASCII.GetBytes(key);
        Assert.True(_keys.TryParse(bytes, out var parts));
        var parent = new byte[1024];
        return Encoding.ASCII.GetString(parent, 0, _chains.Stored(source, bytes, parts, parent));
    }
}
