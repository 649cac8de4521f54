namespace KvMesh.TestKit;

/// <summary>Counts what code allocates on the managed heap.</summary>
public static class Allocations
{
    private const int Rounds = 8;

    /// <summary>
    /// Bytes that a warm action allocates on this thread, by the best of several rounds: the runtime itself charges a thread now and then,
    /// for compiled code that it swaps in or a fresh allocation context after a collection. Code that allocates does so in every round.
    /// </summary>
    public static long Of(Action action)
    {
        var least = long.MaxValue;
        for (var round = 0; round < Rounds && least > 0; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
