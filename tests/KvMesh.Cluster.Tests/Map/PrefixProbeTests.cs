using KvMesh.Cluster.Map;

namespace KvMesh.Cluster.Tests.Map;

public sealed class PrefixProbeTests
{
    private delegate bool AskBlocks(ReadOnlySpan<int> blocks, Span<BlockHolders> answers);

    [Fact]
    public void Finds_the_length_of_every_prefix_in_few_rounds()
    {
        var random = new Random(11);
        for (var trial = 0; trial < 500; trial++)
        {
            var count = random.Next(1, 4097);
            var held = random.Next(3) switch { 0 => 0, 1 => count, _ => random.Next(count + 1) };
            var holders = new BlockHolders[count];
            var found = Run(count, holders, (blocks, answers) => Answer(blocks, answers, held), out var rounds);
            Assert.Equal(held, found);
            Assert.InRange(rounds, 1, count <= 1000 ? 2 : 3);
            Assert.All(holders.Take(held), each => Assert.Equal(1, each.Count));
        }
    }

    [Fact]
    public void Nothing_and_everything_cost_one_round_of_at_most_32_probes()
    {
        foreach (var held in new[] { 0, 1000 })
        {
            var probes = 0;
            Run(1000, new BlockHolders[1000], (blocks, answers) => Answer(blocks, answers, held, ref probes), out var rounds);
            Assert.InRange(rounds, 1, held == 0 ? 1 : 2);
            Assert.InRange(probes, 1, rounds * PrefixProbe.ProbesPerRound);
        }
    }

    [Fact]
    public void Blocks_between_two_that_were_asked_about_are_at_the_holder_of_the_later()
    {
        var holders = new BlockHolders[1000];
        Run(
            1000,
            holders,
            (blocks, answers) =>
            {
                for (var index = 0; index < blocks.Length; index++)
                {
                    answers[index] = default(BlockHolders).With((ushort)(blocks[index] < 500 ? 1 : 2));
                }

                return true;
            },
            out _);
        Assert.Equal(1, holders[100][0]);
        Assert.Equal(2, holders[900][0]);

        // Where the pieces meet, both are named.
        Assert.All(holders, (each, block) => Assert.True(each.Contains((ushort)(block < 500 ? 1 : 2)), $"block {block}"));
    }

    [Fact]
    public void What_was_found_when_the_time_is_over_counts()
    {
        var round = 0;
        var found = Run(4096, new BlockHolders[4096], (blocks, answers) => round++ == 0 && Answer(blocks, answers, 3000), out var rounds);
        Assert.InRange(found, 2800, 3000);
        Assert.Equal(1, rounds);
    }

    private static bool Answer(ReadOnlySpan<int> blocks, Span<BlockHolders> answers, int held)
    {
        var probes = 0;
        return Answer(blocks, answers, held, ref probes);
    }

    private static bool Answer(ReadOnlySpan<int> blocks, Span<BlockHolders> answers, int held, ref int probes)
    {
        Assert.InRange(blocks.Length, 1, PrefixProbe.ProbesPerRound);
        probes += blocks.Length;
        for (var index = 0; index < blocks.Length; index++)
        {
            answers[index] = blocks[index] < held ? default(BlockHolders).With(7) : default;
        }

        return true;
    }

    private static int Run(int count, BlockHolders[] holders, AskBlocks ask, out int rounds)
    {
        var probe = new PrefixProbe(count, holders);
        Span<BlockHolders> answers = stackalloc BlockHolders[PrefixProbe.ProbesPerRound];
        while (probe.Next() is { Length: > 0 } blocks && ask(blocks, answers[..blocks.Length]))
        {
            probe.Take(answers);
        }

        rounds = probe.Rounds;
        return probe.Finish();
    }
}
