namespace KvMesh.Orleans.Sequences;

/// <summary>The store of heads and rows gave no answer that can be used. A write may have happened.</summary>
[GenerateSerializer]
[Alias("kvmesh.sequence-storage-exception")]
internal sealed class SequenceStorageException : OrleansException
{
    public SequenceStorageException()
    {
    }

    public SequenceStorageException(string message)
        : base(message)
    {
    }

    public SequenceStorageException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
