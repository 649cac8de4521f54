using KvMesh.Engine.Leases;
using KvMesh.Protocol.Keys;

namespace KvMesh.Engine.Progressive;

/// <summary>One connection that reads blocks by section. Not thread-safe.</summary>
public sealed class Follower(ConnectionLeases leases)
{
    internal ConnectionLeases Leases => leases;

    /// <summary>The last sealed block that was read from, so that its first sections are not checksummed again for each that follows.</summary>
    internal SealedPrefix Prefix { get; set; }
}

/// <summary>The proof of the first sections of a sealed block. Digest, length and table stand for the bytes.</summary>
internal readonly record struct SealedPrefix(KeyDigest Digest, int PayloadBytes, uint TableChecksum, int SectionBytes, int Sections, uint Proof);

/// <summary>Where a reader stands.</summary>
/// <param name="Section">The next section that it wants.</param>
/// <param name="SectionBytes">Bytes of a section.</param>
/// <param name="Proof">Of the sections before; 0 for the first.</param>
/// <param name="MaxBytes">Bytes that it takes at once; less than a section asks for one.</param>
public readonly record struct FollowPosition(int Section, int SectionBytes, uint Proof, int MaxBytes);

/// <summary>What a reader by section is told.</summary>
public enum FollowStatus
{
    /// <summary>Sections are open.</summary>
    Ready,

    /// <summary>The block is not here and nobody writes it, or not any more.</summary>
    Gone,

    /// <summary>Nothing new was published within the wait.</summary>
    NotYet,

    /// <summary>The block is here, or is written, but in other sections or of other bytes than the reader has.</summary>
    Diverged,

    /// <summary>The reader's leases hold as much as they may.</summary>
    LeaseRefused,
}
