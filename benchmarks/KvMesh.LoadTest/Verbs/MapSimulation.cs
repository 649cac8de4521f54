using System.Globalization;
using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.LoadTest.Measuring;
using KvMesh.LoadTest.Reporting;
using KvMesh.Protocol.Keys;
using KvMesh.Protocol.Native.Messages;

namespace KvMesh.LoadTest.Verbs;

/// <summary>
/// What the block map costs in clusters that do not fit on this machine: slots and probes are those of the real code, the bytes of a location
/// are measured here, and what a node stores and asks is assumed and stated.
/// </summary>
internal static class MapSimulation
{
    private const long ClusterBlocks = 100_000_000;
    private const double CopiesPerBlock = 1.2;
    private const int EventsPerNode = 5_000;
    private const int Trials = 2_000;

    public static Report Run(int blocks)
    {
        RunSettings.Progress("filling a map to measure its bytes");
        double bytesPerLocation;
        using (var store = new MapStore(Math.Min(blocks, 10_000_000)))
        {
            bytesPerLocation = store.Fill().Max(step => step.Locations >= 1_000_000 || step.Locations == blocks ? step.Tables : 0);
        }

        var report = new Report(
            "map --simulate",
            string.Create(CultureInfo.InvariantCulture, $"{ClusterBlocks / 1e6:0} M blocks in the cluster, {CopiesPerBlock} copies each, {EventsPerNode:#,##0} changes a second at each node, ")
            + string.Create(CultureInfo.InvariantCulture, $"{bytesPerLocation:0.0} bytes a location (the most that was measured), {DigestState.Bytes} bytes a change. Matches of 1,000 blocks ")
            + "whose held length is uniform from 0 to all. Median, and least to most of the nodes or matches.");
        foreach (var nodes in new[] { 3, 10, 16, 100, 1000 })
        {
            RunSettings.Progress($"{nodes} nodes");
            Simulate(report, nodes, bytesPerLocation);
        }

        return report;
    }

    private static void Simulate(Report report, int nodes, double bytesPerLocation)
    {
        var records = Enumerable.Range(0, nodes).Select(index => new NodeRecord
        {
            Id = NodeId.Parse(string.Create(CultureInfo.InvariantCulture, $"node-{index:0000}")),
            NativeAddress = "127.0.0.1:1",
        });
        var assignment = SlotAssignment.Of(new ClusterView(1, [.. records], isFrozen: false));
        var shares = assignment.Nodes.Select(node => (double)assignment.SlotsOf(node.Id).Count / DigestSlots.Count).ToList();
        var what = string.Create(CultureInfo.InvariantCulture, $"{nodes:#,##0} nodes");
        Add("map of a node", "MB", shares.Select(share => share * ClusterBlocks * CopiesPerBlock * bytesPerLocation / 1e6));
        Add("changes to a node", "k/s", shares.Select(share => share * EventsPerNode * nodes / 1e3));
        Add("the same", "MB/s", shares.Select(share => share * EventsPerNode * nodes * DigestState.Bytes / 1e6));
        var matches = Enumerable.Range(0, Trials).Select(trial => Match(assignment, new Random(trial))).ToList();
        Add("probes of a match", "digests", matches.Select(match => (double)match.Digests));
        Add("rounds of a match", "rounds", matches.Select(match => (double)match.Rounds));
        Add("questions of a match to other nodes", "requests", matches.Select(match => (double)match.Requests));

        void Add(string figure, string unit, IEnumerable<double> values) =>
            report.Add(new ReportRow { What = what, Who = figure, Figure = Spread.Of(values), Unit = unit });
    }

    /// <summary>One match from the first node: what it asks whom, by the real probing over the real slots.</summary>
    private static (int Digests, int Rounds, int Requests) Match(SlotAssignment assignment, Random random)
    {
        const int Blocks = 1000;
        var self = assignment.Nodes[0].Id;
        var own = assignment.SlotsOf(self);
        if (own.IsFull)
        {
            return (0, 0, 0);
        }

        var slots = Enumerable.Range(0, Blocks).Select(_ => random.Next(DigestSlots.Count)).ToArray();
        var held = random.Next(Blocks + 1);
        var digests = 0;
        var requests = 0;
        var probe = new PrefixProbe(Blocks, new BlockHolders[Blocks]);
        var answers = new BlockHolders[PrefixProbe.ProbesPerRound];
        while (probe.Next() is { Length: > 0 } blocks)
        {
            var asked = new HashSet<int>();
            for (var index = 0; index < blocks.Length; index++)
            {
                var slot = slots[blocks[index]];
                answers[index] = blocks[index] < held ? default(BlockHolders).With(1) : default;
                if (!own.Contains(slot))
                {
                    asked.Add(assignment.DirectoriesOf(slot)[0]);
                    digests++;
                }
            }

            requests += asked.Count;
            probe.Take(answers);
        }

        return (digests, probe.Rounds, requests);
    }
}
