namespace KvMesh.Worker.Model.Files;

/// <summary>A file of a model cannot be used. The message names the file, the field, its value and what is allowed.</summary>
public sealed class ModelFileException : Exception
{
    public ModelFileException(string file, string problem)
        : base($"{file}: {problem}")
    {
    }

    public ModelFileException(string file, string problem, Exception cause)
        : base($"{file}: {problem}", cause)
    {
    }

    public ModelFileException()
    {
    }

    public ModelFileException(string message)
        : base(message)
    {
    }

    public ModelFileException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
