using KvMesh.Engine.Advice;

namespace KvMesh.Engine.Tests.Advice;

public sealed class TimedBytesTests
{
    [Theory]
    [InlineData(4)]
    [InlineData(33)]
    [InlineData(2_048)]
    [InlineData(32_768)]
    public void Agrees_with_a_plain_sum_after_random_changes(int times)
    {
        var random = new Random(times);
        var plain = new int[times];
        var bytes = new TimedBytes(times);
        for (var step = 0; step < 2_000; step++)
        {
            var time = random.Next(times);
            bytes[time] = plain[time] = random.Next(2) == 0 ? 0 : random.Next(int.MaxValue);
            var at = random.Next(times);
            Assert.Equal(plain.Skip(at + 1).Sum(value => (long)value), bytes.SumAfter(at));
            Assert.Equal(plain[at], bytes[at]);
        }

        Assert.Equal(0, bytes.SumAfter(times - 1));
    }
}
