using System.Diagnostics;
using KvMesh.Protocol;

namespace KvMesh.Engine.Arena;

/// <summary>
/// Hands out extents of an arena: runs of whole granules, found, split and joined again in constant time. Addresses that were
/// in use before go first; the end of the arena that was never used, the cold end, is taken only when no hole fits, because
/// the first touch of a page costs ten times a later one.
/// All state lies outside the arena and the arena's bytes are never touched. Not safe for use from several threads: its
/// owner calls it under a lock, which is short because every call is.
/// </summary>
/// <remarks>
/// What stays true: nodes cover the arena without gap or overlap; no two holes touch; the cold end, if any, is the last node;
/// <c>_nodeAt</c> names a node at the first granule of each node and is 0 elsewhere.
/// </remarks>
internal sealed class ExtentAllocator
{
    private readonly ExtentNodePool _nodes;
    private readonly HoleIndex _holes;
    private readonly GranuleMap _nodeAt;
    private readonly int _maxExtents;
    private int _last;
    private int _extents;
    private long _takenGranules;
    private long _spareBytes;

    /// <param name="capacityBytes">Bytes of the arena; what is less than a granule at its end is not used.</param>
    /// <param name="maxExtents">Most extents at one time. Bounds the allocator's own memory: 64 bytes each, and 4 bytes a granule.</param>
    public ExtentAllocator(long capacityBytes, int maxExtents)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacityBytes, Limits.GranuleBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacityBytes, (long)Array.MaxLength * Limits.GranuleBytes);
        ArgumentOutOfRangeException.ThrowIfLessThan(maxExtents, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxExtents, (int.MaxValue / 2) - 2);

        _maxExtents = maxExtents;
        _nodes = new ExtentNodePool((2 * maxExtents) + 2);
        _holes = new HoleIndex(_nodes);
        _nodeAt = new GranuleMap((int)(capacityBytes / Limits.GranuleBytes));
        _last = _nodes.Rent(0, _nodeAt.Length, ExtentState.Cold);
        _nodeAt[0] = _last;
    }

    public AllocatorStatistics Statistics
    {
        get
        {
            TryGetLargestHole(out _, out var largestHoleBytes);
            ref var last = ref _nodes[_last];
            var coldStandsAlone = last.State == ExtentState.Cold && !IsHole(last.Previous);
            return new AllocatorStatistics(
                Bytes(_nodeAt.Length), Bytes(_takenGranules), Bytes(_takenGranules) - _spareBytes, largestHoleBytes,
                _holes.Count + (coldStandsAlone ? 1 : 0), _extents,
                Bytes(last.State == ExtentState.Cold ? last.Start : _nodeAt.Length));
        }
    }

    /// <summary>Takes an extent of at least <paramref name="bytes"/>. False when no hole is long enough, or all extents are in use.</summary>
    public bool TryAllocate(long bytes, out long offset)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        offset = -1;
        if (_extents == _maxExtents || bytes > Bytes(_nodeAt.Length))
        {
            return false;
        }

        var granules = Granules(bytes);
        var index = _holes.Find(granules);
        if (index != 0)
        {
            _holes.Remove(index);
            TrimToLength(index, granules);
        }
        else if (!TryTakeFromColdEnd(granules, out index))
        {
            return false;
        }

        Take(index, bytes);
        offset = Bytes(_nodes[index].Start);
        return true;
    }

    /// <summary>Gives an extent back and joins it with the holes beside it.</summary>
    /// <exception cref="InvalidOperationException">No extent begins at <paramref name="offset"/>: the caller freed it twice, or never had it.</exception>
    public void Free(long offset)
    {
        var index = TakenAt(offset);
        ref var node = ref _nodes[index];
        _takenGranules -= node.Granules;
        _spareBytes -= node.SpareBytes;
        _extents--;
        BecomeHole(index);
    }

    /// <summary>
    /// Takes exactly the range from <paramref name="offset"/> on, for blocks that an earlier process left. False when it is not
    /// free as a whole, does not begin at a granule, or ends beyond the arena. Ascending offsets are the fastest order.
    /// </summary>
    public bool TryReserveAt(long offset, long bytes)
    {
        if (_extents == _maxExtents || bytes < 1 || offset < 0 || offset % Limits.GranuleBytes != 0
            || bytes > Bytes(_nodeAt.Length) - offset)
        {
            return false;
        }

        var start = (int)(offset / Limits.GranuleBytes);
        var granules = Granules(bytes);
        var index = NodeCovering(start);
        if (_nodes[index].State == ExtentState.Taken || EndOfFreeRun(index) < start + granules)
        {
            return false;
        }

        if (_nodes[index].State == ExtentState.Hole)
        {
            _holes.Remove(index);
            var missing = start + granules - End(index);
            if (missing > 0)
            {
                GrowIntoColdEnd(index, missing);
            }
        }

        var front = index;
        if (_nodes[front].Start < start)
        {
            index = Split(front, start - _nodes[front].Start);
        }

        TrimToLength(index, granules);
        Take(index, bytes);
        if (front != index)
        {
            BecomeHole(front);
        }

        return true;
    }

    /// <summary>Keeps a number of the caller's with an extent.</summary>
    public void SetMark(long offset, int mark) => _nodes[TakenAt(offset)].Mark = mark;

    /// <summary>The number kept with an extent; 0 before it was set.</summary>
    public int MarkOf(long offset) => _nodes[TakenAt(offset)].Mark;

    /// <summary>Bytes of the extent at <paramref name="offset"/>, whole granules.</summary>
    public long ExtentBytes(long offset) => Bytes(_nodes[TakenAt(offset)].Granules);

    /// <summary>The longest free run, to within 1/32. False when the arena is full to the last granule.</summary>
    public bool TryGetLargestHole(out long offset, out long bytes)
    {
        var index = _holes.Largest();
        var granules = index == 0 ? 0 : _nodes[index].Granules;

        if (_nodes[_last].State == ExtentState.Cold)
        {
            var tail = IsHole(_nodes[_last].Previous) ? _nodes[_last].Previous : _last;
            var tailGranules = _nodeAt.Length - _nodes[tail].Start;
            (index, granules) = tailGranules >= granules ? (tail, tailGranules) : (index, granules);
        }

        offset = index == 0 ? -1 : Bytes(_nodes[index].Start);
        bytes = Bytes(granules);
        return index != 0;
    }

    /// <summary>The nearest extent below the hole or extent that begins at <paramref name="offset"/>.</summary>
    public bool TryGetPrevious(long offset, out long previousExtent)
    {
        var index = _nodes[_nodeAt.NodeAt(offset)].Previous;
        while (index != 0 && _nodes[index].State != ExtentState.Taken)
        {
            index = _nodes[index].Previous;
        }

        previousExtent = index == 0 ? -1 : Bytes(_nodes[index].Start);
        return index != 0;
    }

    /// <summary>The nearest extent above the hole or extent that begins at <paramref name="offset"/>.</summary>
    public bool TryGetNext(long offset, out long nextExtent)
    {
        var index = _nodes[_nodeAt.NodeAt(offset)].Next;
        while (index != 0 && _nodes[index].State != ExtentState.Taken)
        {
            index = _nodes[index].Next;
        }

        nextExtent = index == 0 ? -1 : Bytes(_nodes[index].Start);
        return index != 0;
    }

    private static long Bytes(long granules) => granules * Limits.GranuleBytes;

    private static int Granules(long bytes) => (int)((bytes + Limits.GranuleBytes - 1) / Limits.GranuleBytes);

    private bool IsHole(int index) => index != 0 && _nodes[index].State == ExtentState.Hole;

    private int End(int index) => _nodes[index].Start + _nodes[index].Granules;

    /// <summary>Where the free run ends that <paramref name="index"/> is part of; the cold end continues the hole before it.</summary>
    private int EndOfFreeRun(int index)
    {
        var next = _nodes[index].Next;
        return next != 0 && _nodes[next].State == ExtentState.Cold ? End(next) : End(index);
    }

    /// <summary>Takes from the cold end, together with the hole before it if there is one.</summary>
    private bool TryTakeFromColdEnd(int granules, out int index)
    {
        index = _last;
        if (_nodes[_last].State != ExtentState.Cold)
        {
            return false;
        }

        var hole = _nodes[_last].Previous;
        if (IsHole(hole))
        {
            if (End(_last) - _nodes[hole].Start < granules)
            {
                return false;
            }

            _holes.Remove(hole);
            GrowIntoColdEnd(hole, granules - _nodes[hole].Granules);
            index = hole;
            return true;
        }

        if (_nodes[_last].Granules < granules)
        {
            return false;
        }

        TrimToLength(index, granules);
        return true;
    }

    /// <summary>Shortens a free node that is in no list to <paramref name="granules"/>; what is left over stays free.</summary>
    private void TrimToLength(int index, int granules)
    {
        if (_nodes[index].Granules == granules)
        {
            return;
        }

        var rest = Split(index, granules);
        if (_nodes[rest].State == ExtentState.Hole)
        {
            _holes.Add(rest);
        }
    }

    private void GrowIntoColdEnd(int index, int granules)
    {
        Debug.Assert(_nodes[index].Next == _last && _nodes[_last].State == ExtentState.Cold, "Only the last hole touches the cold end.");
        ref var cold = ref _nodes[_last];
        if (cold.Granules == granules)
        {
            AbsorbNext(index);
            return;
        }

        _nodeAt[cold.Start] = 0;
        cold.Start += granules;
        cold.Granules -= granules;
        _nodeAt[cold.Start] = _last;
        _nodes[index].Granules += granules;
    }

    private void Take(int index, long bytes)
    {
        ref var node = ref _nodes[index];
        node.State = ExtentState.Taken;
        node.Mark = 0;
        node.SpareBytes = (ushort)(Bytes(node.Granules) - bytes);
        _takenGranules += node.Granules;
        _spareBytes += node.SpareBytes;
        _extents++;
    }

    private void BecomeHole(int index)
    {
        var previous = _nodes[index].Previous;
        if (IsHole(previous))
        {
            _holes.Remove(previous);
            AbsorbNext(previous);
            index = previous;
        }

        var next = _nodes[index].Next;
        if (IsHole(next))
        {
            _holes.Remove(next);
            AbsorbNext(index);
        }

        _nodes[index].State = ExtentState.Hole;
        _holes.Add(index);
    }

    /// <summary>Cuts a node behind its first <paramref name="granules"/> and returns the second part, which has the same state.</summary>
    private int Split(int index, int granules)
    {
        ref var node = ref _nodes[index];
        var rest = _nodes.Rent(node.Start + granules, node.Granules - granules, node.State);
        ref var second = ref _nodes[rest];
        node.Granules = granules;
        second.Previous = index;
        second.Next = node.Next;
        LinkBack(second.Next, rest);
        node.Next = rest;
        _nodeAt[second.Start] = rest;
        return rest;
    }

    private void AbsorbNext(int index)
    {
        ref var node = ref _nodes[index];
        var absorbed = node.Next;
        ref var next = ref _nodes[absorbed];
        node.Granules += next.Granules;
        node.Next = next.Next;
        LinkBack(node.Next, index);
        _nodeAt[next.Start] = 0;
        _nodes.Return(absorbed);
    }

    private void LinkBack(int next, int index)
    {
        if (next != 0)
        {
            _nodes[next].Previous = index;
        }
        else
        {
            _last = index;
        }
    }

    /// <summary>The node that a granule lies in.</summary>
    private int NodeCovering(int granule)
    {
        var nearest = _nodeAt.Nearest(granule, out var isBehind);
        return isBehind ? _nodes[nearest].Previous : nearest;
    }

    private int TakenAt(long offset)
    {
        var index = _nodeAt.NodeAt(offset);
        if (_nodes[index].State != ExtentState.Taken)
        {
            GranuleMap.ThrowNoExtent(offset);
        }

        return index;
    }
}
