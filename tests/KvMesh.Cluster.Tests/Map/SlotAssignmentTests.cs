using KvMesh.Cluster.Map;
using KvMesh.Cluster.Membership;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Tests.Map;

public sealed class SlotAssignmentTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(16)]
    public void In_a_small_cluster_every_node_is_a_directory_for_everything(int nodes)
    {
        var view = MapScene.View(nodes);
        var assignment = SlotAssignment.Of(view);
        Assert.All(view.Nodes, node => Assert.True(assignment.SlotsOf(node.Id).IsFull));
        Assert.Equal(nodes, assignment.DirectoriesOf(5).ToArray().Distinct().Count());
    }

    [Theory]
    [InlineData(17)]
    [InlineData(20)]
    [InlineData(100)]
    public void In_a_larger_one_each_slot_has_three_and_no_node_much_more_than_its_share(int nodes)
    {
        var view = MapScene.View(nodes);
        var assignment = SlotAssignment.Of(view);
        for (var slot = 0; slot < DigestSlots.Count; slot++)
        {
            Assert.Equal(3, assignment.DirectoriesOf(slot).ToArray().Distinct().Count());
        }

        var shares = view.Nodes.Select(node => assignment.SlotsOf(node.Id).Count).ToList();
        var fair = 3.0 * DigestSlots.Count / nodes;
        Assert.Equal(3 * DigestSlots.Count, shares.Sum());
        Assert.InRange(shares.Max(), fair, fair + (5 * Math.Sqrt(fair)));
        Assert.InRange(shares.Min(), Math.Max(0, fair - (5 * Math.Sqrt(fair))), fair);
    }

    [Fact]
    public void A_join_or_leave_moves_only_the_slots_of_that_node()
    {
        var random = new Random(4);
        for (var round = 0; round < 20; round++)
        {
            var nodes = random.Next(18, 60);
            var without = random.Next(nodes);
            var all = SlotAssignment.Of(MapScene.View(nodes));
            var fewer = SlotAssignment.Of(MapScene.View(Enumerable.Range(0, nodes).Where(index => index != without).Select(index => MapScene.Node(index))));
            var lost = MapScene.Node(without).Id;
            for (var slot = 0; slot < DigestSlots.Count; slot++)
            {
                var before = Ids(all, slot);
                var after = Ids(fewer, slot);
                Assert.Empty(before.Where(id => id != lost).Except(after));
                Assert.Equal(before.Contains(lost) ? 1 : 0, after.Except(before).Count());
            }
        }
    }

    [Fact]
    public void Does_not_depend_on_the_order_of_the_view_and_leaves_out_who_is_leaving()
    {
        var nodes = Enumerable.Range(0, 20).Select(index => MapScene.Node(index)).ToList();
        var forward = SlotAssignment.Of(MapScene.View(nodes));
        var backward = SlotAssignment.Of(MapScene.View(Enumerable.Reverse(nodes)));
        Assert.All(Enumerable.Range(0, DigestSlots.Count), slot => Assert.Equal(Ids(forward, slot), Ids(backward, slot)));

        nodes[7] = nodes[7] with { State = NodeState.Leaving };
        Assert.True(SlotAssignment.Of(MapScene.View(nodes)).SlotsOf(nodes[7].Id).IsEmpty);
    }

    private static List<NodeId> Ids(SlotAssignment assignment, int slot) =>
        [.. assignment.DirectoriesOf(slot).ToArray().Select(index => assignment.Nodes[index].Id)];
}
