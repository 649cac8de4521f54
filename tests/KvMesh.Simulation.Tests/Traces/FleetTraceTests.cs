using KvMesh.Simulation.Traces;

namespace KvMesh.Simulation.Tests.Traces;

public sealed class FleetTraceTests
{
    [Fact]
    public void Equal_options_make_equal_traces_and_other_seeds_others()
    {
        var options = new FleetTraceOptions { Requests = 400, Tenants = 4, AgentShare = 0.2 };

        Assert.Equal(Text(options), Text(options));
        Assert.NotEqual(Text(options), Text(options with { Seed = 2 }));
    }

    [Fact]
    public void A_trace_is_read_back_as_it_was_written()
    {
        var written = FleetTrace.Generate(new FleetTraceOptions { Requests = 300, Tenants = 3 });
        var text = new StringWriter();
        MooncakeTrace.Write(text, written);

        var read = MooncakeTrace.Read(new StringReader(text.ToString()));

        Assert.All(written.Zip(read), pair =>
        {
            Assert.Equal(pair.First.BlockIds.ToArray(), pair.Second.BlockIds.ToArray());
            Assert.Equal(pair.First with { BlockIds = default }, pair.Second with { BlockIds = default });
        });
        Assert.Equal(written.Count, read.Count);
    }

    [Fact]
    public void Arrivals_never_go_back_and_come_at_the_rate_that_was_asked_for()
    {
        // Documents alone, asked about once: every session is one prompt.
        var options = new FleetTraceOptions { Requests = 4000, SessionsPerSecond = 10, AgentShare = 0, DocumentShare = 1, DocumentAgainChance = 0 };
        var times = FleetTrace.Generate(options).ConvertAll(request => request.TimestampMs);

        Assert.Equal(times.Order(), times);
        Assert.InRange(times[^1], 370_000, 430_000);
    }

    [Fact]
    public void Chats_come_back_as_often_and_as_late_as_the_options_say()
    {
        var options = new FleetTraceOptions
        {
            Requests = 20_000,
            SessionsPerSecond = 1,
            AgentShare = 0,
            DocumentShare = 0,
            SystemTokens = 1,
            ContinueChance = 0.4,
            ReturnSeconds = 60,
        };
        var gaps = new List<long>();
        var lastUse = new Dictionary<ulong, long>();
        foreach (var request in FleetTrace.Generate(options).Where(request => request.FullBlocks > 4))
        {
            // Beyond the system prompt, whose length has a median of one token, the first blocks name the session.
            var session = request.BlockIds.Span[3];
            if (lastUse.TryGetValue(session, out var last))
            {
                gaps.Add(request.TimestampMs - last);
            }

            lastUse[session] = request.TimestampMs;
        }

        gaps.Sort();
        Assert.InRange(gaps[gaps.Count / 2], 45_000, 75_000);
        Assert.InRange(gaps[gaps.Count * 9 / 10], 3.2 * gaps[gaps.Count / 2], 5.5 * gaps[gaps.Count / 2]);

        // Mean turns with chances 0.4, 0.5, 0.6, 0.7, 0.8, 0.8, …: 1 + 0.4 (1 + 0.5 (1 + 0.6 (1 + 0.7 (1 + 0.8 / 0.2)))) = 2.14.
        Assert.InRange((double)(gaps.Count + lastUse.Count) / lastUse.Count, 1.8, 2.4);
    }

    [Fact]
    public void Agents_take_steps_and_send_out_others_that_begin_with_all_they_know()
    {
        var options = new FleetTraceOptions { Requests = 3000, AgentShare = 1, DocumentShare = 0, ForkChance = 0.2, SystemTokens = 1 };
        var children = new Dictionary<ulong, HashSet<ulong>>();
        foreach (var request in FleetTrace.Generate(options))
        {
            var ids = request.BlockIds.Span[..request.FullBlocks];
            for (var index = 4; index < ids.Length; index++)
            {
                children.TryAdd(ids[index - 1], []);
                children[ids[index - 1]].Add(ids[index]);
            }
        }

        Assert.True(children.Values.Count(following => following.Count > 1) > 20, "a chain that goes on in several ways is a fork");
    }

    [Fact]
    public void Popular_tenants_and_system_prompts_are_asked_for_most_and_tenants_share_nothing()
    {
        var requests = FleetTrace.Generate(new FleetTraceOptions { Requests = 4000, Tenants = 5, Skew = 1.2, DriftMinutes = 0 });
        var byTenant = requests.GroupBy(request => request.Tenant).ToDictionary(group => group.Key, group => group.ToArray());

        Assert.Equal(5, byTenant.Count);
        Assert.True(byTenant["tenant-0"].Length > 2 * byTenant["tenant-4"].Length);
        var ids = byTenant.Values.Select(prompts => prompts.SelectMany(request => request.BlockIds.ToArray()).ToHashSet()).ToArray();
        Assert.Equal(ids.Sum(set => set.Count), ids.SelectMany(set => set).Distinct().Count());
    }

    [Fact]
    public void The_default_has_the_prompt_lengths_and_the_sharing_that_its_document_tells()
    {
        var trace = ChainedTrace.Of(FleetTrace.Generate(new FleetTraceOptions()));

        Assert.InRange((double)trace.AskedBlocks / trace.Requests, 20, 40);
        Assert.InRange((double)(trace.Touches - trace.DistinctBlocks) / trace.AskedBlocks, 0.4, 0.7);
    }

    [Theory]
    [InlineData(nameof(FleetTraceOptions.Requests))]
    [InlineData(nameof(FleetTraceOptions.DocumentShare))]
    [InlineData(nameof(FleetTraceOptions.SessionsPerSecond))]
    [InlineData(nameof(FleetTraceOptions.ForkChance))]
    public void A_value_outside_of_its_limits_is_named(string name)
    {
        var options = name switch
        {
            nameof(FleetTraceOptions.Requests) => new FleetTraceOptions { Requests = 0 },
            nameof(FleetTraceOptions.DocumentShare) => new FleetTraceOptions { AgentShare = 0.6, DocumentShare = 0.5 },
            nameof(FleetTraceOptions.SessionsPerSecond) => new FleetTraceOptions { SessionsPerSecond = double.NaN },
            _ => new FleetTraceOptions { ForkChance = 1 },
        };

        var failure = Assert.Throws<ArgumentOutOfRangeException>(() => FleetTrace.Generate(options));

        Assert.Equal(name, failure.ParamName);
        Assert.StartsWith($"{name} is ", failure.Message, StringComparison.Ordinal);
    }

    private static string Text(FleetTraceOptions options)
    {
        var text = new StringWriter();
        MooncakeTrace.Write(text, FleetTrace.Generate(options));
        return text.ToString();
    }
}
