using KvMesh.Engine.Advice;

namespace KvMesh.Engine.Tests.Advice;

public sealed class ReuseSampleTests
{
    [Fact]
    public void Agrees_with_a_walked_list_after_random_steps()
    {
        var random = new Random(11);
        var sample = new ReuseSample(64);
        var order = new List<(ulong Hash, int Bytes)>();
        for (var step = 0; step < 20_000; step++)
        {
            var hash = (ulong)random.Next(60) * 0x9E3779B97F4A7C15;
            var at = order.FindIndex(block => block.Hash == hash);
            switch (random.Next(8))
            {
                case 0:
                    sample.Forget(hash);
                    order.RemoveAll(block => block.Hash == hash);
                    break;
                case 1 or 2:
                    var bytes = random.Next(1, 1_000);
                    sample.Place(hash, bytes);
                    order.RemoveAll(block => block.Hash == hash);
                    order.Insert(0, (hash, bytes));
                    break;
                default:
                    Assert.Equal(at >= 0, sample.TryTouch(hash, out var since));
                    Assert.Equal(at < 0 ? 0 : order.Take(at + 1).Sum(block => block.Bytes), since);
                    if (at >= 0)
                    {
                        var block = order[at];
                        order.RemoveAt(at);
                        order.Insert(0, block);
                    }

                    break;
            }

            Assert.Equal(order.Count, sample.Count);
        }
    }

    [Fact]
    public void Is_never_fuller_than_its_capacity_and_keeps_those_of_the_lowest_hashes()
    {
        var random = new Random(5);
        var sample = new ReuseSample(64);
        for (var step = 0; step < 10_000; step++)
        {
            var hash = (ulong)random.NextInt64() << 1;
            sample.Place(hash, 4_096);
            Assert.InRange(sample.Count, 0, 64);
            Assert.Equal(sample.IsSampled(hash), sample.TryTouch(hash, out _));
        }

        Assert.InRange(sample.Rate, 1 / 1_024.0, 1 / 64.0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public void A_capacity_that_is_no_power_of_two_is_refused(int capacity) => Assert.Throws<ArgumentOutOfRangeException>(() => new ReuseSample(capacity));
}
