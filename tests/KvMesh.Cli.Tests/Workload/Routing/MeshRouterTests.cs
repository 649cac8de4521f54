using KvMesh.Cli.Workload.Routing;
using KvMesh.Protocol;
using KvMesh.Simulation.Traces;

namespace KvMesh.Cli.Tests.Workload.Routing;

public sealed class MeshRouterTests
{
    private static readonly string[] Nodes = ["tcp://a:1", "tcp://b:1", "tcp://c:1"];

    [Fact]
    public void Round_robin_deals_requests_in_turn_whatever_they_ask_for()
    {
        var router = new MeshRouter(RequestRouting.RoundRobin, Nodes, affinityBlocks: 2);

        var orders = Enumerable.Range(0, 4).Select(_ => Rank(router, Hashes(1, 2, 3))).ToArray();

        Assert.Equal([[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]], orders);
    }

    [Fact]
    public void Affinity_depends_on_the_first_blocks_and_on_nothing_else()
    {
        var router = new MeshRouter(RequestRouting.Affinity, Nodes, affinityBlocks: 2);
        var order = Rank(router, Hashes(1, 2));

        Assert.Equal(order, Rank(router, Hashes(1, 2, 3, 4, 5)));
        Assert.Equal(order, Rank(new MeshRouter(RequestRouting.Affinity, Nodes, affinityBlocks: 2), Hashes(1, 2, 99)));
        Assert.Equal(order, Rank(router, Hashes(1, 2)));
    }

    [Fact]
    public void Affinity_spreads_prefixes_over_all_nodes()
    {
        var router = new MeshRouter(RequestRouting.Affinity, Nodes, affinityBlocks: 2);

        var firsts = Enumerable.Range(0, 3000).Select(session => Rank(router, Hashes(0, (ulong)session + 1))[0]).CountBy(node => node).ToDictionary();

        Assert.All(Enumerable.Range(0, Nodes.Length), node => Assert.InRange(firsts[node], 850, 1150));
    }

    [Fact]
    public void Of_an_affinity_that_loses_a_node_only_the_requests_of_that_node_move()
    {
        var all = new MeshRouter(RequestRouting.Affinity, Nodes, affinityBlocks: 1);
        var fewer = new MeshRouter(RequestRouting.Affinity, Nodes[..2], affinityBlocks: 1);
        for (ulong session = 0; session < 200; session++)
        {
            var hashes = Hashes(session);
            var others = Rank(all, hashes).Where(node => node != 2);

            Assert.Equal(others, Rank(fewer, hashes));
        }
    }

    [Fact]
    public void A_request_without_a_full_block_goes_to_any_node()
    {
        var router = new MeshRouter(RequestRouting.Affinity, Nodes, affinityBlocks: 2);

        Assert.Equal([0, 1, 2], Rank(router, []).Order());
    }

    private static int[] Rank(MeshRouter router, byte[] hashes)
    {
        var order = new int[router.Count];
        router.Rank(hashes, order);
        return order;
    }

    private static byte[] Hashes(params ulong[] blocks)
    {
        byte[] buffer = [];
        var hashes = new PromptRequest(0, blocks, blocks.Length).HashInto(ref buffer);
        Assert.Equal(blocks.Length * Limits.ChainHashBytes, hashes.Length);
        return hashes.ToArray();
    }
}
