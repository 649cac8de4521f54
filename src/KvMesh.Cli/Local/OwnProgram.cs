namespace KvMesh.Cli.Local;

/// <summary>How this program is started once more.</summary>
internal static class OwnProgram
{
    /// <summary>Program and arguments. Under the "dotnet" host the first argument is the assembly that the host shall run.</summary>
    public static (string Program, IReadOnlyList<string> Arguments) Command(IReadOnlyList<string> arguments)
    {
        var own = Environment.GetCommandLineArgs()[0];
        var program = Environment.ProcessPath ?? own;
        return Path.GetFileNameWithoutExtension(program) == "dotnet" ? (program, [own, .. arguments]) : (program, arguments);
    }
}
