using KvMesh.Codecs.Layouts;
using KvMesh.Protocol.Integrity;

namespace KvMesh.Codecs.Blocks;

/// <summary>
/// Encodes the tensors of a block. Each is encoded where it lies when all before it take the most they can, and then moved, so that the bytes are those of
/// <see cref="BlockEncoder"/>.
/// </summary>
internal sealed unsafe class EncodeRun(CodingCrew crew) : SharedRun(crew)
{
    private Section[] _sections = [];
    private KvCodec _codec = null!;
    private BlockGeometry _geometry = null!;
    private EncodeOptions _options;
    private long _firstPosition;
    private byte* _block;
    private byte* _destination;
    private int _destinationBytes;
    private volatile bool _wasStopped;

    private ReadOnlySpan<byte> Block => new(_block, _geometry.Bytes);

    /// <summary>As <see cref="BlockEncoder.Encode"/>; 0 when the crew was told to end.</summary>
    public int Encode(
        KvCodec codec, BlockGeometry geometry, ReadOnlySpan<byte> block, long firstPosition, in EncodeOptions options, Span<byte> destination, int helpers,
        CodecScratch scratch)
    {
        BlockEncoder.Check(codec, geometry, block, firstPosition, destination);
        var kept = BlockEncoder.WriteKept(codec, geometry, options, destination);
        var first = BlockEncoder.HeaderBytes(codec, geometry, kept);
        (_codec, _geometry, _options, _firstPosition, _wasStopped) = (codec, geometry, options, firstPosition, false);
        Place(first);

        // Spans cannot be kept for helpers; the memory stays where it is until the run is over.
        fixed (byte* source = block)
        fixed (byte* target = destination)
        {
            _block = source;
            _destination = target;
            _destinationBytes = destination.Length;
            try
            {
                Run(geometry.Planes.Length, helpers, scratch);
            }
            finally
            {
                _block = _destination = null;
            }
        }

        if (_wasStopped)
        {
            return 0;
        }

        var entries = BlockEncoder.EntriesOffset(codec, kept);
        var at = MoveTogether(entries, first, destination);
        at = RefinementWriter.Spread(codec, geometry, firstPosition, options, entries, at, destination, scratch);
        BlockEncoder.Complete(codec, geometry, block, firstPosition, options, kept, destination[..at], scratch);
        return at;
    }

    protected override void DoParts(CodecScratch scratch)
    {
        while (TryTake(out var index))
        {
            if (Crew.IsStopped)
            {
                _wasStopped = true;
                return;
            }

            var offset = _sections[index].Offset;
            var target = new Span<byte>(_destination + offset, _destinationBytes - offset);
            var length = BlockEncoder.EncodeSection(_codec, _geometry, index, Block, _firstPosition, _options, target, scratch);
            _sections[index] = new Section(offset, length, Crc32C.Compute(target[..length]));
        }
    }

    private void Place(int room)
    {
        var count = _geometry.Planes.Length;
        if (_sections.Length < count)
        {
            _sections = new Section[count];
        }

        for (var index = 0; index < count; index++)
        {
            _sections[index] = new Section(room, 0, 0);
            room += BlockEncoder.MaxSectionBytes(_codec, _geometry, index);
        }
    }

    private int MoveTogether(int entries, int at, Span<byte> destination)
    {
        for (var index = 0; index < _geometry.Planes.Length; index++)
        {
            var (offset, length, checksum) = _sections[index];
            destination.Slice(offset, length).CopyTo(destination[at..]);
            var plane = _geometry.Planes[index];
            new SectionEntry(plane.Layer, plane.Shape.Kind, plane.FirstHead, plane.HeadCount, at, length, checksum).Write(destination[entries..]);
            entries += SectionEntry.Bytes;
            at += length;
        }

        return at;
    }

    /// <summary>Where a section was put for the time being.</summary>
    private readonly record struct Section(int Offset, int Length, uint Checksum);
}
