namespace KvMesh.Engine.Tests.Advice;

/// <summary>Touches of chats: system prompts of uneven popularity, and sessions whose every turn asks for all blocks so far. Tail first, as the engine counts.</summary>
internal static class GeneratedTouches
{
    public static IEnumerable<(ulong Hash, int Bytes)> Of(int seed, int requests, int sessions, double endChance)
    {
        var random = new Random(seed);
        var living = new List<List<(ulong, int)>>();
        var prompts = Enumerable.Range(0, 40).Select(_ => Enumerable.Range(0, random.Next(2, 12)).Select(_ => Fresh(random)).ToArray()).ToArray();
        for (var request = 0; request < requests; request++)
        {
            if (living.Count < sessions)
            {
                living.Add([.. prompts[(int)(prompts.Length * Math.Pow(random.NextDouble(), 3))]]);
            }

            var index = random.Next(living.Count);
            var session = living[index];
            for (var turn = random.Next(1, 5); turn > 0; turn--)
            {
                session.Add(Fresh(random));
            }

            for (var block = session.Count - 1; block >= 0; block--)
            {
                yield return session[block];
            }

            if (random.NextDouble() < endChance)
            {
                living.RemoveAt(index);
            }
        }
    }

    private static (ulong Hash, int Bytes) Fresh(Random random) => ((ulong)random.NextInt64() << 1, 65_536 << random.Next(4));
}
