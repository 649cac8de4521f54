using System.Globalization;
using KvMesh.Cluster.Map;
using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Tests.Map;

/// <summary>
/// Readers beside writers that add, remove, grow, shrink and sweep. Invariant: a block that is never removed is always found, one that
/// was never added never is, and nobody is named who never had the block.
/// </summary>
public sealed class BlockMapSoakTests
{
    private const int Steady = 4_000;
    private const int Moving = 60_000;

    [Fact]
    public void Readers_see_what_stays_and_nothing_that_never_was() => Run(rounds: 6);

    [Fact]
    [Trait("Category", "Soak")]
    public void Readers_see_what_stays_for_long() =>
        Run(int.Parse(Environment.GetEnvironmentVariable("KVMESH_SOAK_ROUNDS") ?? "600", CultureInfo.InvariantCulture));

    private static void Run(int rounds)
    {
        using var map = new BlockMap(new BlockMapOptions());
        var steady = map.Join(MapScene.Node(1));
        var moving = map.Join(MapScene.Node(2));
        KeyDigest[] digests = [.. Enumerable.Range(0, Steady + Moving).Select(block => MapScene.Digest(block))];
        for (var block = 0; block < Steady; block++)
        {
            map.Set(digests[block], steady, MapLocation.HostTier, 1);
        }

        var isOver = false;
        var faults = new List<string>();
        var readers = Enumerable.Range(0, 3).Select(reader => new Thread(() =>
        {
            var fault = Read(map, digests, steady, new Random(reader), () => Volatile.Read(ref isOver));
            lock (faults)
            {
                faults.Add(fault);
            }
        })).ToList();
        readers.ForEach(reader => reader.Start());
        for (var round = 0; round < rounds; round++)
        {
            Write(map, digests, ref moving, round);
        }

        Volatile.Write(ref isOver, true);
        readers.ForEach(reader => reader.Join());
        Assert.Equal(["", "", ""], faults);
        Assert.Equal(Steady, map.Locations);
    }

    /// <summary>Fills and empties; in turn block by block, by the end of the node's run, and by a snapshot that lists nothing.</summary>
    private static void Write(BlockMap map, KeyDigest[] digests, ref ushort moving, int round)
    {
        for (var block = Steady; block < digests.Length; block++)
        {
            map.Set(digests[block], moving, MapLocation.DiskTier, 1);
        }

        switch (round % 3)
        {
            case 0:
                for (var block = Steady; block < digests.Length; block++)
                {
                    map.Remove(digests[block], moving);
                }

                break;
            case 1:
                moving = map.Join(MapScene.Node(2, incarnation: round + 2));
                map.Sweep();
                break;
            default:
                map.BeginSnapshot(moving);
                map.EndSnapshot(moving, SlotSet.All());
                break;
        }
    }

    private static string Read(BlockMap map, KeyDigest[] digests, ushort steady, Random random, Func<bool> isOver)
    {
        var holders = new BlockHolders[64];
        while (!isOver())
        {
            var from = random.Next(Steady - holders.Length);
            var found = map.FindRun(digests.AsSpan(from, holders.Length), holders);
            if (found != holders.Length || holders.Any(each => each.Count != 1 || each[0] != steady))
            {
                return $"Of {holders.Length} blocks from {from} on {found} were found.";
            }

            if (map.Find(digests[Steady + random.Next(Moving)]) is { Count: > 0 } other && other.Contains(steady))
            {
                return "A node was named for a block that it never had.";
            }

            if (!map.Find(MapScene.Digest(-1 - random.Next(1000))).IsEmpty)
            {
                return "A block was found that never was.";
            }
        }

        return "";
    }
}
