using KvMesh.Cluster.Loading;

namespace KvMesh.Cluster.Tests.Loading;

public sealed class MeetInTheMiddleTests
{
    private static readonly ReadInput Four = Reads.Input(Reads.Equal(4, 100, 1_000_000, 0), new PrefillRate(1e-4, 0), Reads.Source("peer", 1e8));

    [Fact]
    public void The_front_computes_forward_and_the_loader_comes_from_the_back()
    {
        var read = MeetInTheMiddle.Unplanned(Four);

        Assert.Equal((FrontStep.Compute, 0), (read.Front(out var front), front));
        Assert.Equal(3, TakeBack(read));
        Assert.Equal(2, TakeBack(read));
        Assert.True(read.Complete(0));
        Assert.True(read.Complete(3));
        Assert.Equal((FrontStep.Compute, 1), (read.Front(out front), front));
        Assert.True(read.Complete(2));
        Assert.Equal(1, TakeBack(read));
        Assert.False(read.TryTakeBack(0, out _));

        Assert.True(read.Complete(1));
        Assert.False(read.Complete(1));
        Assert.True(read.IsDone);
        Assert.Equal(FrontStep.Done, read.Front(out _));
    }

    [Fact]
    public void What_a_source_does_not_have_is_computed()
    {
        var read = MeetInTheMiddle.Planned(ReadPlanner.FetchAll(Four), 1);

        Assert.Equal(FrontStep.Wait, read.Front(out _));
        read.Missed(0);
        Assert.Equal((FrontStep.Compute, 0), (read.Front(out var block), block));
        read.Complete(0);
        Assert.Equal(FrontStep.Wait, read.Front(out _));
    }

    [Fact]
    public void Runs_are_as_long_as_blocks_follow_each_other_in_one_hand()
    {
        var read = MeetInTheMiddle.Planned(ReadPlanner.FetchAll(Reads.Input(Reads.Equal(8, 100, 1_000_000, 0), new PrefillRate(1e-4, 0), Reads.Source("peer", 1e8))), 1);
        read.Missed(2);
        read.Missed(3);

        Assert.True(read.TryTakeBack(0, 3, out var first, out var count));
        var taken = Enumerable.Range(first, count).ToList();
        while (read.TryTakeBack(0, 3, out first, out count))
        {
            taken.AddRange(Enumerable.Range(first, count));
            Assert.InRange(count, 1, 3);
        }

        Assert.Equal([0, 1, 4, 5, 6, 7], taken.Order());
        Assert.Equal((FrontStep.Wait, 0), (read.Front(8, out var front, out count), count));
        read.Complete(0);
        read.Complete(1);
        Assert.Equal((FrontStep.Compute, 2, 2), (read.Front(8, out front, out count), front, count));
        Assert.Equal((FrontStep.Compute, 2, 1), (read.Front(1, out front, out count), front, count));
    }

    [Fact]
    public void After_the_deadline_nothing_is_fetched_and_the_rest_is_computed()
    {
        var read = MeetInTheMiddle.Planned(ReadPlanner.FetchAll(Four), 1);
        read.Complete(TakeBack(read));

        read.StopLoading();

        Assert.False(read.TryTakeBack(0, out _));
        foreach (var expected in new[] { 0, 1, 2 })
        {
            Assert.Equal((FrontStep.Compute, expected), (read.Front(out var block), block));
            read.Complete(block);
        }

        Assert.True(read.IsDone);
    }

    [Fact]
    public void Whatever_happens_in_whatever_order_each_block_comes_once_and_the_read_ends()
    {
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var input = Reads.Mixed(random);
            var read = random.Next(2) == 0 ? MeetInTheMiddle.Unplanned(input) : MeetInTheMiddle.Planned(ReadPlanner.Plan(input), input.Sources.Length);
            var underWay = new List<int>();
            var came = 0;
            for (var step = 0; step < 200 && !read.IsDone; step++)
            {
                if (random.Next(4) == 0 && read.Front(out var front) == FrontStep.Compute)
                {
                    Assert.All(Enumerable.Range(0, front), block => Assert.True(read.IsPresent(block), $"seed {seed}: {front} is computed before {block} is there"));
                    came += read.Complete(front) ? 1 : 0;
                }
                else if (random.Next(2) == 0 && read.TryTakeBack(random.Next(input.Sources.Length), out var back))
                {
                    underWay.Add(back);
                }
                else if (underWay.Count > 0)
                {
                    var arriving = underWay[^1];
                    underWay.RemoveAt(underWay.Count - 1);
                    if (random.Next(5) == 0)
                    {
                        read.Missed(arriving);
                    }
                    else
                    {
                        came += read.Complete(arriving) ? 1 : 0;
                    }
                }
            }

            for (; read.Front(out var last) is var next && next != FrontStep.Done; came++)
            {
                read.StopLoading();
                Assert.Equal((FrontStep.Compute, true), (read.Front(out last), read.Complete(last)));
            }

            Assert.Equal(input.Blocks.Length, came);
        }
    }

    [Fact]
    public void Refuses_fewer_loaders_than_the_plan_asks() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => MeetInTheMiddle.Planned(ReadPlanner.FetchAll(Four), 0));

    private static int TakeBack(MeetInTheMiddle read)
    {
        Assert.True(read.TryTakeBack(0, out var block));
        return block;
    }
}
