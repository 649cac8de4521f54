using KvMesh.LoadTest.Faults.Cases;

namespace KvMesh.LoadTest.Faults;

/// <summary>Every fault that a mesh must stand, by a word that names it.</summary>
internal static class AllFaults
{
    private static readonly Dictionary<string, Func<Fault>> ByWord = new(StringComparer.Ordinal)
    {
        ["killed-node"] = () => new KilledNode(),
        ["killed-redis"] = () => new KilledRedis(keepsData: true),
        ["emptied-redis"] = () => new KilledRedis(keepsData: false),
        ["stopped-redis"] = () => new StoppedRedis(),
        ["stopped-node"] = () => new StoppedNode(),
        ["cut-off"] = () => new CutOff(),
        ["full-disk"] = () => new FullDisk(),
        ["full-disk-encoded"] = () => new FullDisk(isEncoded: true),
        ["full-journal"] = () => new FullJournal(),
        ["stepped-clock"] = () => new SteppedClock(),
        ["take-over"] = () => new RollingTakeOver(),
        ["other-releases"] = () => new OtherReleases(),
    };

    /// <summary>Those that need a network of their own, <see cref="FaultMesh.StartApartAsync"/>.</summary>
    private static readonly Dictionary<string, Func<Fault>> Splits = new(StringComparer.Ordinal)
    {
        ["split-from-one"] = () => new Partition("a node cut off from Redis and one peer", Partition.Ways.Both, "n2"),
        ["split-out"] = () => new Partition("nothing that a node sends reaches Redis or a peer", Partition.Ways.Out, "n2", "n3"),
        ["split-from-all"] = () => new Partition("a node cut off from Redis and all peers", Partition.Ways.Both, "n2", "n3"),
        ["split-in"] = () => new Partition("nothing from Redis or one peer reaches a node", Partition.Ways.In, "n2"),
    };

    /// <summary>Faults of a mesh on the loopback address.</summary>
    public static IEnumerable<string> Words => ByWord.Keys;

    /// <summary>Faults of a network.</summary>
    public static IEnumerable<string> Partitions => Splits.Keys;

    public static Fault Create(string word) => (ByWord.GetValueOrDefault(word) ?? Splits[word])();
}
