using KvMesh.Protocol.Keys;

namespace KvMesh.Cluster.Map;

/// <summary>Asks the directories of other nodes. Any thread; blocks until the answers are here or the time is over.</summary>
public interface IDirectoryClient
{
    /// <summary>Who holds some blocks, by numbers of <paramref name="map"/>; nobody where no directory answered in time.</summary>
    /// <returns>False when no directory answered at all.</returns>
    bool Locate(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, Span<BlockHolders> holders, BlockMap map, TimeSpan limit);

    /// <summary>As <see cref="Locate"/>, with all holders.</summary>
    /// <param name="digests">At most <see cref="Protocol.Native.Messages.LocateRequest.MaxBlocksOfAll"/>.</param>
    /// <param name="holders">Receives the holders of digest i at i.</param>
    bool LocateAll(SlotAssignment assignment, in DigestSecret secret, ReadOnlySpan<KeyDigest> digests, HolderLists holders, BlockMap map, TimeSpan limit);
}
