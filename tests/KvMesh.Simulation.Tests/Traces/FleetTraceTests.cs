using System.Security.Cryptography;
using System.Text;
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

    /// <summary>Figures in documents are of these traces: what is added to the generator may change none that does not ask for it.</summary>
    [Theory]
    [InlineData(1, 1, 0.02, 30.0, "c61c26403353c016e18f21f9e84a92ef1c951a40b19664276fcdc47f121c3d3b")]
    [InlineData(3, 4, 0.2, 2.0, "718a6409e28f9a245f524d694ed71cc38d95077ce900e81ed0bc2b988848132d")]
    public void A_seed_makes_the_trace_that_it_always_made(int seed, int tenants, double agents, double drift, string sha256)
    {
        var text = Text(new FleetTraceOptions { Requests = 2000, Seed = seed, Tenants = tenants, AgentShare = agents, DriftMinutes = drift });

        Assert.Equal(sha256, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))));
    }

    [Fact]
    public void A_scan_comes_at_its_time_shares_nothing_and_leaves_the_rest_as_it_was()
    {
        var calm = FleetTrace.Generate(new FleetTraceOptions { Requests = 600 });
        var scanned = FleetTrace.Generate(new FleetTraceOptions { Requests = 800, ScansAtSeconds = [90, 30], ScanPrompts = 100, ScanTokens = 1_000, ScanPromptsPerSecond = 50 });

        var uses = scanned.SelectMany(request => request.BlockIds.ToArray()).CountBy(id => id).ToDictionary();
        var scans = scanned.Where(request => request is { InputTokens: 1_000, OutputTokens: 1 } && request.BlockIds.ToArray().All(id => uses[id] == 1)).ToArray();
        Assert.Equal(200, scans.Length);
        Assert.Equal(
            Enumerable.Range(0, 100).Select(index => 30_000L + (index * 20)).Concat(Enumerable.Range(0, 100).Select(index => 90_000L + (index * 20))),
            scans.Select(request => request.TimestampMs), (expected, actual) => Math.Abs(expected - actual) <= 1);
        Assert.Equal(
            calm.Select(request => (request.TimestampMs, request.FullBlocks, request.InputTokens, request.OutputTokens)),
            scanned.Except(scans).Select(request => (request.TimestampMs, request.FullBlocks, request.InputTokens, request.OutputTokens)));
    }

    [Theory]
    [InlineData(1, 0, 0)]
    [InlineData(0.5, 0.2, 0.8)]
    [InlineData(0, 1, 1)]
    public void A_change_of_phase_ends_system_prompts_and_sessions(double share, double leastSurvivors, double mostSurvivors)
    {
        var options = new FleetTraceOptions { Requests = 6_000, SystemPrompts = 40, Tenants = 3, Skew = 0.2, DriftMinutes = 0, PhaseShare = share };
        var steady = Survivors(options);
        var changed = Survivors(options with { PhasesAtSeconds = [900] });

        // Of the blocks of system prompts and sessions that go on beyond this time, so many still do.
        Assert.InRange((double)changed / steady, leastSurvivors, mostSurvivors);
        Assert.InRange(steady, 100, int.MaxValue);

        static int Survivors(FleetTraceOptions options)
        {
            var halves = FleetTrace.Generate(options).ToLookup(request => request.TimestampMs < 900_000, request => request.BlockIds.ToArray());
            return halves[true].SelectMany(ids => ids).Intersect(halves[false].SelectMany(ids => ids)).Count();
        }
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
    [InlineData(nameof(FleetTraceOptions.ScanTokens))]
    [InlineData(nameof(FleetTraceOptions.ScansAtSeconds))]
    [InlineData(nameof(FleetTraceOptions.PhasesAtSeconds))]
    public void A_value_outside_of_its_limits_is_named(string name)
    {
        var options = name switch
        {
            nameof(FleetTraceOptions.Requests) => new FleetTraceOptions { Requests = 0 },
            nameof(FleetTraceOptions.DocumentShare) => new FleetTraceOptions { AgentShare = 0.6, DocumentShare = 0.5 },
            nameof(FleetTraceOptions.SessionsPerSecond) => new FleetTraceOptions { SessionsPerSecond = double.NaN },
            nameof(FleetTraceOptions.ScanTokens) => new FleetTraceOptions { ScanTokens = 0 },
            nameof(FleetTraceOptions.ScansAtSeconds) => new FleetTraceOptions { ScansAtSeconds = [5, -1] },
            nameof(FleetTraceOptions.PhasesAtSeconds) => new FleetTraceOptions { PhasesAtSeconds = [.. Enumerable.Range(0, FleetTraceOptions.MaxMoments + 1)] },
            _ => new FleetTraceOptions { ForkChance = 1 },
        };

        var failure = Assert.Throws<ArgumentOutOfRangeException>(() => FleetTrace.Generate(options));

        Assert.Equal(name, failure.ParamName);
        Assert.Matches($"^{name} (is|are) ", failure.Message);
    }

    private static string Text(FleetTraceOptions options)
    {
        var text = new StringWriter();
        MooncakeTrace.Write(text, FleetTrace.Generate(options));
        return text.ToString();
    }
}
