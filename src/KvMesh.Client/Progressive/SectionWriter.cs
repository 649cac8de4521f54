using KvMesh.Client.Connections;
using KvMesh.Client.Operations;
using KvMesh.Protocol.Native;

namespace KvMesh.Client.Progressive;

/// <summary>
/// Writes a block section by section (layer by layer), each readable as soon as it is published; the last one seals the block. One caller at a time. When its
/// connection is lost, or it is disposed before the last section, the write ends and its readers are told.
/// </summary>
public sealed class SectionWriter : IAsyncDisposable
{
    private readonly NodeConnection? _connection;
    private readonly ulong _write;
    private readonly int _blockBytes;
    private readonly int _sectionBytes;
    private bool _isOver;

    internal SectionWriter(NodeConnection? connection, SectionBeginOperation? begin, int blockBytes, int sectionBytes)
    {
        _connection = connection;
        _blockBytes = blockBytes;
        _sectionBytes = sectionBytes;
        Status = begin?.Status ?? PutStatus.Failed;
        _write = begin?.Number ?? 0;
        _isOver = Status != PutStatus.Stored;
    }

    /// <summary>Stored while sections can be published, and when the block is sealed; otherwise why not: AlreadyPresent, when somebody else sealed it first.</summary>
    public PutStatus Status { get; private set; }

    /// <summary>Sections that were published.</summary>
    public int Published { get; private set; }

    public int Sections => ProgressiveLimits.SectionCount(_blockBytes, _sectionBytes);

    /// <summary>Whether nothing more can be published: the block is sealed, or <see cref="Status"/> says why not.</summary>
    public bool IsOver => _isOver;

    /// <summary>Publishes the next section. The bytes must not change until it has returned.</summary>
    /// <returns><see cref="Status"/>.</returns>
    /// <exception cref="ArgumentException">The section has not the bytes of the next one.</exception>
    public async ValueTask<PutStatus> PublishAsync(ReadOnlyMemory<byte> section, CancellationToken cancellationToken)
    {
        var expected = Math.Min(_sectionBytes, _blockBytes - ((long)Published * _sectionBytes));
        if (!_isOver && section.Length != expected)
        {
            throw new ArgumentException($"section {Published} has {section.Length} bytes; it must have {expected}.", nameof(section));
        }

        if (_isOver)
        {
            return Status;
        }

        // Whoever is cancelled here does not know how far it came: the write is over then.
        (_isOver, Status) = (true, PutStatus.Failed);
        var publish = new SectionPublishOperation(_write, Published, section);
        await _connection!.ExecuteAsync(publish, cancellationToken).ConfigureAwait(false);
        Status = publish.Outcome == OperationOutcome.Done ? publish.Status : PutStatus.Failed;
        Published += Status == PutStatus.Stored ? 1 : 0;
        _isOver = Status != PutStatus.Stored || Published == Sections;
        return Status;
    }

    /// <summary>Ends the write when it is not over.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_connection is null || _write == 0 || Published == Sections || Status is PutStatus.AlreadyPresent)
        {
            return;
        }

        (_isOver, Status) = (true, PutStatus.Failed);
        await _connection.ExecuteAsync(new SectionAbandonOperation(_write), CancellationToken.None).ConfigureAwait(false);
    }
}
