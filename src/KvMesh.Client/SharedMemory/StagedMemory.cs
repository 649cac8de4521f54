using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvMesh.Client.SharedMemory;

/// <summary>
/// A rented part of a staging file, in which a caller builds payloads. The part is given back when its owner has disposed it and no put reads
/// from it any more, whichever comes last: until then the node may be copying it. Any thread.
/// </summary>
internal sealed unsafe class StagedMemory(StagingArea area, long offset, int bytes) : MemoryManager<byte>
{
    /// <summary>The owner and every put under way.</summary>
    private int _users = 1;
    private int _isDisposed;

    public StagingArea Area => area;

    /// <summary>Finds the rented part that a payload lies in, and where in the staging file the payload begins.</summary>
    public static bool TryFind(ReadOnlyMemory<byte> payload, [NotNullWhen(true)] out StagedMemory? staged, out long offset)
    {
        var isStaged = MemoryMarshal.TryGetMemoryManager(payload, out staged, out var start, out _);
        offset = isStaged ? staged!.Offset + start : 0;
        return isStaged;
    }

    /// <summary>Keeps the part until <see cref="EndUse"/>. False when it was given back.</summary>
    public bool TryUse()
    {
        var users = Volatile.Read(ref _users);
        while (users > 0)
        {
            var seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
            {
                return true;
            }

            users = seen;
        }

        return false;
    }

    public void EndUse()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            area.Return(offset);
        }
    }

    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
        return area.Slice(offset, bytes);
    }

    /// <summary>The mapping does not move; whoever pins keeps the owner from disposing it.</summary>
    public override MemoryHandle Pin(int elementIndex = 0) => new(Unsafe.AsPointer(ref MemoryMarshal.GetReference(GetSpan()[elementIndex..])));

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
        {
            EndUse();
        }
    }

    private long Offset => offset;
}
