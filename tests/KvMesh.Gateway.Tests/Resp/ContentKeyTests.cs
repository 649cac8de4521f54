using KvMesh.TestKit;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Keys of LMCache's grammar: the first sealed writer wins, pairs live and die together, a probe keeps its block.</summary>
public sealed class ContentKeyTests : IDisposable
{
    private const string Key = "llama@1@0@abcdef@bfloat16";
    private const string Pair = "llama@1@0@123456@bfloat16";

    private readonly RespFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void First_writer_wins_and_the_second_is_told_OK()
    {
        var first = TestBytes.Payload(1, 50_000);
        var session = _fixture.Open();

        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", Key, first)));
        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", Key, TestBytes.Payload(2, 60_000))));
        Assert.Equal("+OK\r\n", RespFixture.Ask(session, RespFixture.Command("SET", Key, "short")));
        Assert.Equal(RespSessionTests.Bulk(first), RespFixture.Ask(session, RespFixture.Command("GET", Key)));
    }

    [Fact]
    public void Two_writers_at_once_leave_one_whole_value()
    {
        var slow = _fixture.Open();
        var wire = RespFixture.Command("SET", Key, TestBytes.Payload(1, 50_000));
        var channel = new MemoryChannel { PieceBytes = 100 };
        channel.Play(wire);
        var fast = TestBytes.Payload(2, 60_000);
        var overtaking = new OvertakingChannel(channel, () => RespFixture.Ask(_fixture.Open(), RespFixture.Command("SET", Key, fast)));
        slow.Run(overtaking);

        Assert.Equal("+OK\r\n", channel.ToString());
        Assert.Equal(RespSessionTests.Bulk(fast), RespFixture.Ask(_fixture.Open(), RespFixture.Command("GET", Key)));
    }

    [Fact]
    public void Other_keys_are_replaced()
    {
        Assert.Equal("+OK\r\n+OK\r\n$1\r\nb\r\n", _fixture.Ask("SET k a\r\nSET k b\r\nGET k\r\n"));
    }

    [Fact]
    public void DEL_makes_room_for_another_content()
    {
        Assert.Equal(
            "+OK\r\n:1\r\n:1\r\n:0\r\n+OK\r\n$1\r\nb\r\n",
            _fixture.Ask($"SET {Key} a\r\nEXISTS {Key}\r\nDEL {Key}\r\nEXISTS {Key}\r\nSET {Key} b\r\nGET {Key}\r\n"));
    }

    [Fact]
    public void A_later_expiry_extends_and_an_earlier_one_does_not_shorten()
    {
        Assert.Equal(
            "+OK\r\n+OK\r\n:100\r\n+OK\r\n:900\r\n+OK\r\n:-1\r\n",
            _fixture.Ask($"SET {Key} a EX 100\r\nSET {Key} a EX 50\r\nTTL {Key}\r\nSET {Key} a EX 900\r\nTTL {Key}\r\nSET {Key} a\r\nTTL {Key}\r\n"));
    }

    [Fact]
    public void NX_and_GET_mean_what_they_mean_elsewhere()
    {
        Assert.Equal("+OK\r\n$-1\r\n$1\r\na\r\n:0\r\n", _fixture.Ask($"SET {Key} a\r\nSET {Key} b NX\r\nSET {Key} b GET\r\nSETNX {Key} b\r\n"));
    }

    [Fact]
    public void Metadata_is_there_only_when_the_bytes_are()
    {
        Assert.Equal("+OK\r\n:0\r\n$-1\r\n", _fixture.Ask($"SET {Pair}metadata 1234\r\nEXISTS {Pair}metadata\r\nGET {Pair}metadata\r\n"));
        Assert.Equal("+OK\r\n:1\r\n$4\r\n1234\r\n", _fixture.Ask($"SET {Pair}kv_bytes abc\r\nEXISTS {Pair}metadata\r\nGET {Pair}metadata\r\n"));
    }

    [Theory]
    [InlineData("metadata", "kv_bytes")]
    [InlineData("kv_bytes", "metadata")]
    public void A_pair_leaves_together(string removed, string other)
    {
        _fixture.Ask($"SET {Pair}kv_bytes abc\r\nSET {Pair}metadata 1234\r\n");

        Assert.Equal(":1\r\n:0\r\n$-1\r\n", _fixture.Ask($"DEL {Pair}{removed}\r\nEXISTS {Pair}{other}\r\nGET {Pair}{other}\r\n"));
    }

    [Fact]
    public void A_probe_of_the_metadata_keeps_the_bytes()
    {
        using var fixture = new RespFixture(engine => engine.ConnectionLeaseShare = 0.5);
        var session = fixture.Open();
        var value = TestBytes.Payload(1, 1 << 20);
        RespFixture.Ask(session, RespFixture.Command("SET", Pair + "kv_bytes", value));
        RespFixture.Ask(session, RespFixture.Command("SET", Pair + "metadata", new byte[28]));
        Assert.Equal(":1\r\n", RespFixture.Ask(session, RespFixture.Command("EXISTS", Pair + "metadata")));

        Fill(fixture);

        Assert.Equal(RespSessionTests.Bulk(new byte[28]), RespFixture.Ask(session, RespFixture.Command("GET", Pair + "metadata")));
        Assert.Equal(RespSessionTests.Bulk(value), RespFixture.Ask(session, RespFixture.Command("GET", Pair + "kv_bytes")));
    }

    [Fact]
    public void A_load_after_a_probe_never_misses()
    {
        var session = _fixture.Open();
        var value = TestBytes.Payload(1, 1 << 20);
        RespFixture.Ask(session, RespFixture.Command("SET", Key, value));
        Assert.Equal(":1\r\n", RespFixture.Ask(session, RespFixture.Command("EXISTS", Key)));

        Fill(_fixture);

        Assert.Equal(RespSessionTests.Bulk(value), RespFixture.Ask(session, RespFixture.Command("GET", Key)));
    }

    [Fact]
    public void A_probe_without_a_lease_promises_nothing()
    {
        using var fixture = new RespFixture(resp: options => options.ExistsLease = TimeSpan.Zero);
        var session = fixture.Open();
        RespFixture.Ask(session, RespFixture.Command("SET", Key, new byte[1 << 20]));
        Assert.Equal(":1\r\n", RespFixture.Ask(session, RespFixture.Command("EXISTS", Key)));

        Fill(fixture);

        Assert.Equal("$-1\r\n", RespFixture.Ask(session, RespFixture.Command("GET", Key)));
    }

    [Fact]
    public void A_prompt_loses_its_tail_first()
    {
        var session = _fixture.Open();
        var keys = Enumerable.Range(0, 12).Select(index => $"llama@1@0@{0xA0 + index:x}@bfloat16").ToArray();
        Assert.Equal(":0\r\n", RespFixture.Ask(session, RespFixture.Command("EXISTS", keys[0])));
        foreach (var key in keys)
        {
            RespFixture.Ask(session, RespFixture.Command("SET", key, new byte[1 << 20]));
        }

        var filled = 0;
        var present = keys.Length;
        while (present == keys.Length || present > 4)
        {
            RespFixture.Ask(session, RespFixture.Command("SET", $"filler{filled++}", new byte[1 << 20]));
            var here = keys.Select(key => _fixture.Engine.Engine.TryInspect(_fixture.Engine.Tenant, System.Text.Encoding.ASCII.GetBytes(key), out _)).ToArray();
            present = here.Count(isHere => isHere);
            Assert.True(here.Take(present).All(isHere => isHere), $"after {filled} fillers a hole: {string.Join(' ', here)}");
            Assert.InRange(filled, 1, 100);
        }
    }

    [Fact]
    public void The_model_of_a_block_comes_from_its_key()
    {
        _fixture.Ask($"SET {Key} a\r\nSET plain b\r\n");

        Assert.True(_fixture.Engine.Engine.TryInspect(_fixture.Engine.Tenant, System.Text.Encoding.ASCII.GetBytes(Key), out var content));
        Assert.Equal(("llama", true), (content.Model, content.IsContent));
        Assert.True(_fixture.Engine.Engine.TryInspect(_fixture.Engine.Tenant, "plain"u8, out var plain));
        Assert.Equal(("", false), (plain.Model, plain.IsContent));
    }

    [Fact]
    public void Patterns_of_the_options_make_keys_content()
    {
        using var fixture = new RespFixture(resp: options => options.ContentKeyPatterns.Add("blob:(?<model>[a-z]+):(?<hash>[0-9a-f]+)"));

        Assert.Equal("+OK\r\n+OK\r\n$1\r\na\r\n", fixture.Ask("SET blob:gpt:12ab a\r\nSET blob:gpt:12ab b\r\nGET blob:gpt:12ab\r\n"));
        Assert.True(fixture.Engine.Engine.TryInspect(fixture.Engine.Tenant, "blob:gpt:12ab"u8, out var info));
        Assert.Equal("gpt", info.Model);
        Assert.Equal("+OK\r\n+OK\r\n$1\r\nb\r\n", fixture.Ask($"SET {Key} a\r\nSET {Key} b\r\nGET {Key}\r\n"));
    }

    /// <summary>Twice as much as the arena holds.</summary>
    private static void Fill(RespFixture fixture)
    {
        var other = fixture.Open("10.9.9.9");
        var value = new byte[1 << 20];
        for (var index = 0; index < 64; index++)
        {
            Assert.Equal("+OK\r\n", RespFixture.Ask(other, RespFixture.Command("SET", $"filler{index}", value)));
        }
    }
}
