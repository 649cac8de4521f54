using System.Text;
using KvMesh.TestKit;

namespace KvMesh.Engine.Tests.Tiering;

/// <summary>A clean stop saves RAM to disk for as long as it may, and no longer.</summary>
public sealed class StopBudgetTests
{
    private const int Blocks = 40;

    [Theory]
    [InlineData(0)]
    [InlineData(120)]
    public void What_the_budget_allows_is_saved_and_the_rest_is_left(int budgetSeconds)
    {
        using var node = new TestEngine(options =>
        {
            options.Disk.CapacityBytes = 64 << 20;
            options.StopBudget = TimeSpan.FromSeconds(budgetSeconds);
        });
        for (var index = 0; index < Blocks; index++)
        {
            node.PutContent(Key(index), TestBytes.Payload(index + 1, 100_000));
        }

        // Without its arena the next process has what was saved and nothing else.
        node.Restart(keepArena: false);
        var saved = Enumerable.Range(0, Blocks).Count(index => node.Get(Key(index)) is not null);
        Assert.Equal(budgetSeconds == 0 ? 0 : Blocks, saved);
        Assert.All(Enumerable.Range(0, Blocks), index => Assert.True(node.Get(Key(index)) is not { } read || read.AsSpan().SequenceEqual(TestBytes.Payload(index + 1, 100_000))));
    }

    private static byte[] Key(int index) => Encoding.UTF8.GetBytes($"key {index}");
}
